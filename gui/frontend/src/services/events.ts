// Server-sent events of /api/v1/events: what changed, as it changes.
import { effectScope, watch } from 'vue'
import { eventsUrl } from './api'
import { wsConnection } from './websocket'

export type EventKind = 'device' | 'command' | 'session' | 'changeset' | 'message' | 'event' | 'system'

const KINDS: EventKind[] = ['device', 'command', 'session', 'changeset', 'message', 'event', 'system']
const handlers = new Map<EventKind, Set<(data: unknown) => void>>()
let source: EventSource | null = null
let started = false

function open(): void {
  source?.close()
  source = new EventSource(eventsUrl)
  for (const kind of KINDS) {
    source.addEventListener(kind, (event) => {
      let data: unknown
      try {
        data = JSON.parse((event as MessageEvent<string>).data)
      } catch {
        return
      }
      handlers.get(kind)?.forEach((handler) => handler(data))
    })
  }
}

function start(): void {
  started = true
  // The cookie is fresh whenever the broker has let us in: follow that connection.
  // Its own scope, so that it outlives the page that listened first.
  effectScope(true).run(() =>
    watch(
      () => wsConnection.isConnected,
      (connected) => {
        if (connected) open()
        else source?.close()
      },
      { immediate: true },
    ),
  )
}

/** Listens to one kind; returns how to stop. */
export function onEvent<T>(kind: EventKind, handler: (data: T) => void): () => void {
  if (!started) start()
  const set = handlers.get(kind) ?? new Set()
  handlers.set(kind, set)
  set.add(handler as (data: unknown) => void)
  return () => set.delete(handler as (data: unknown) => void)
}
