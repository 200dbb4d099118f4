// One thing that a page shows: loading, there, failed; loaded again when its name changes or the connection returns.
import { onScopeDispose, ref, shallowRef, watch, type Ref, type ShallowRef } from 'vue'
import { wsConnection } from '@/services/websocket'

export interface Resource<T> {
  data: ShallowRef<T | null>
  error: ShallowRef<unknown>
  loading: Ref<boolean>
  reload: () => Promise<void>
}

/** Loads with `load` whenever one of `sources` changes. */
export function useResource<T>(load: () => Promise<T>, sources: () => unknown = () => null): Resource<T> {
  const data = shallowRef<T | null>(null)
  const error = shallowRef<unknown>(null)
  const loading = ref(false)
  let round = 0

  async function reload(): Promise<void> {
    const mine = ++round
    loading.value = true
    try {
      const found = await load()
      if (mine !== round) return
      data.value = found
      error.value = null
    } catch (problem) {
      if (mine === round) error.value = problem
    } finally {
      if (mine === round) loading.value = false
    }
  }

  watch(
    sources,
    () => {
      data.value = null
      error.value = null
      void reload()
    },
    { immediate: true },
  )
  watch(
    () => wsConnection.isConnected,
    (connected) => connected && void reload(),
  )
  onScopeDispose(() => round++)
  return { data, error, loading, reload }
}
