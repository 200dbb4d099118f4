// A long list of items of unlike height, of which only those near the view exist.
// The item at the top of the view keeps its place when others grow, shrink or are put above it;
// when the view is at the end, it stays at the end.
import { computed, nextTick, onMounted, onScopeDispose, ref, shallowRef, watch, type Ref } from 'vue'

export interface WindowedOptions<T> {
  items: Readonly<Ref<readonly T[]>>
  key: (item: T) => string
  /** A guess at the height in pixels, before it was measured. */
  estimate: (item: T) => number
  scroller: Readonly<Ref<HTMLElement | null>>
}

const OVERSCAN_PX = 700
const END_PX = 48

export function useWindowedList<T>({ items, key, estimate, scroller }: WindowedOptions<T>) {
  const heights = new Map<string, number>()
  const version = ref(0)
  const scrollTop = ref(0)
  const viewHeight = ref(600)
  const following = ref(true)
  const mounted = new Map<string, Element>()
  const keyOf = new WeakMap<Element, string>()
  let anchor: { key: string; delta: number } | null = null
  const index = shallowRef(new Map<string, number>())

  const offsets = computed(() => {
    void version.value
    const list = items.value
    const sums = new Float64Array(list.length + 1)
    for (let i = 0; i < list.length; i++) sums[i + 1] = sums[i]! + (heights.get(key(list[i]!)) ?? estimate(list[i]!))
    return sums
  })
  const total = computed(() => offsets.value[items.value.length]!)

  /** The item that covers `y`. */
  function at(y: number): number {
    const sums = offsets.value
    let low = 0
    let high = Math.max(0, items.value.length - 1)
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (sums[middle]! <= y) low = middle
      else high = middle - 1
    }
    return low
  }

  const range = computed(() => {
    const count = items.value.length
    if (count === 0) return { start: 0, end: 0 }
    if (following.value) return { start: at(Math.max(0, total.value - viewHeight.value - OVERSCAN_PX)), end: count }
    return { start: at(Math.max(0, scrollTop.value - OVERSCAN_PX)), end: Math.min(count, at(scrollTop.value + viewHeight.value + OVERSCAN_PX) + 1) }
  })
  const before = computed(() => offsets.value[range.value.start] ?? 0)
  const after = computed(() => total.value - (offsets.value[range.value.end] ?? 0))
  const shown = computed(() => items.value.slice(range.value.start, range.value.end))

  function hold(): void {
    const list = items.value
    if (list.length === 0) return void (anchor = null)
    const first = at(scrollTop.value)
    anchor = { key: key(list[first]!), delta: scrollTop.value - offsets.value[first]! }
  }

  function place(): void {
    const element = scroller.value
    if (!element) return
    if (following.value) element.scrollTop = element.scrollHeight
    else if (anchor) {
      const position = index.value.get(anchor.key)
      if (position === undefined) return hold()
      const wanted = offsets.value[position]! + anchor.delta
      if (Math.abs(element.scrollTop - wanted) > 0.5) element.scrollTop = wanted
    }
    scrollTop.value = element.scrollTop
  }

  function onScroll(): void {
    const element = scroller.value
    if (!element) return
    scrollTop.value = element.scrollTop
    following.value = element.scrollHeight - element.scrollTop - element.clientHeight < END_PX
    hold()
  }

  const itemObserver = new ResizeObserver((records) => {
    let changed = false
    for (const record of records) {
      const name = keyOf.get(record.target)
      const height = record.borderBoxSize[0]?.blockSize ?? record.target.clientHeight
      if (name === undefined || height === 0 || heights.get(name) === height) continue
      heights.set(name, height)
      changed = true
    }
    if (changed) version.value++
  })
  const viewObserver = new ResizeObserver(() => {
    viewHeight.value = scroller.value?.clientHeight ?? 600
    place()
  })

  /** Function ref of a shown item. */
  function measure(name: string, element: Element | null): void {
    const old = mounted.get(name)
    if (old === element) return
    if (old) itemObserver.unobserve(old)
    if (element) {
      mounted.set(name, element)
      keyOf.set(element, name)
      itemObserver.observe(element)
    } else mounted.delete(name)
  }

  async function toEnd(): Promise<void> {
    following.value = true
    await nextTick()
    place()
  }

  watch(
    items,
    (list) => {
      const map = new Map<string, number>()
      list.forEach((item, position) => map.set(key(item), position))
      index.value = map
    },
    { immediate: true },
  )
  watch([offsets, range], place, { flush: 'post' })
  onMounted(() => {
    if (scroller.value) viewObserver.observe(scroller.value)
    place()
  })
  onScopeDispose(() => {
    itemObserver.disconnect()
    viewObserver.disconnect()
  })

  return { shown, range, before, after, following, scrollTop, onScroll, measure, toEnd }
}
