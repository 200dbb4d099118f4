// The present moment, for what counts down or says "3 minutes ago".
import { onScopeDispose, ref, type Ref } from 'vue'
import { serverNow } from '@/services/api'

const clocks = new Map<number, { now: Ref<number>; users: number; timer: ReturnType<typeof setInterval> }>()

/** The server's clock, read every `everyMs`; one timer for all who use the same pace. */
export function useNow(everyMs = 1_000): Ref<number> {
  let clock = clocks.get(everyMs)
  if (!clock) {
    const now = ref(serverNow())
    clock = { now, users: 0, timer: setInterval(() => (now.value = serverNow()), everyMs) }
    clocks.set(everyMs, clock)
  }
  clock.users++
  const mine = clock
  onScopeDispose(() => {
    if (--mine.users > 0) return
    clearInterval(mine.timer)
    clocks.delete(everyMs)
  })
  return clock.now
}
