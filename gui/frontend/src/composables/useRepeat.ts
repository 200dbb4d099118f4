// Does something again and again, while the page is looked at and the server is there.
import { onScopeDispose, watch } from 'vue'
import { wsConnection } from '@/services/websocket'

export function useRepeat(act: () => unknown, everyMs: () => number): void {
  let timer: ReturnType<typeof setInterval> | undefined
  watch(
    everyMs,
    (ms) => {
      clearInterval(timer)
      timer = setInterval(() => {
        if (!document.hidden && wsConnection.isConnected) act()
      }, ms)
    },
    { immediate: true },
  )
  onScopeDispose(() => clearInterval(timer))
}
