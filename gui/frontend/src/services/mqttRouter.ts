// What arrives over MQTT, by topic: reads the payload, joins private copies with the public topic, hands it to who listens.
import type { ChatError, ChatMessage, ChatStatus, ConnectionState, SessionAnswer } from '@/types/chat'

export interface Routes {
  'chat/receive': ChatMessage
  'chat/status': ChatStatus
  'chat/error': ChatError
  'chat/session/created': SessionAnswer
  'chat/session/deleted': SessionAnswer
  'chat/session/listed': SessionAnswer
  'connection/client': ConnectionState
  'connection/ai-core': ConnectionState
  'connection/system': ConnectionState
  'system/receive': Record<string, unknown>
  'system/status': Record<string, unknown>
}

export type Route = keyof Routes

type Handler<R extends Route> = (payload: Routes[R]) => void

const handlers = new Map<Route, Set<Handler<never>>>()

/** What the console subscribes to. */
export function subscriptions(clientId: string): string[] {
  return [
    'chat/receive',
    'chat/status',
    'chat/error',
    'chat/session/#',
    'connection/#',
    `chat/client/${clientId}/#`,
    'system/receive',
    'system/status',
  ]
}

/** Listens to a topic; returns how to stop. */
export function on<R extends Route>(route: R, handler: Handler<R>): () => void {
  const set = handlers.get(route) ?? new Set()
  handlers.set(route, set)
  set.add(handler as Handler<never>)
  return () => set.delete(handler as Handler<never>)
}

/** The public name of a topic: `chat/client/{id}/status` is `chat/status`. */
export function publicName(topic: string): string {
  const match = /^chat\/client\/[^/]+\/(.+)$/.exec(topic)
  if (!match) return topic
  const tail = match[1]!
  return tail.startsWith('system/') || tail.startsWith('connection/') ? tail : `chat/${tail}`
}

const REQUIRED: Record<Route, string[]> = {
  'chat/receive': ['id', 'role', 'text'],
  'chat/status': ['id', 'status'],
  'chat/error': ['message'],
  'chat/session/created': [],
  'chat/session/deleted': [],
  'chat/session/listed': [],
  'connection/client': ['status'],
  'connection/ai-core': ['status'],
  'connection/system': ['status'],
  'system/receive': [],
  'system/status': [],
}

/** Hands a message to its listeners. `false`: nobody knows it, or it is not readable. */
export function dispatch(topic: string, bytes: Uint8Array | string): boolean {
  const route = publicName(topic) as Route
  const required = REQUIRED[route]
  const listening = handlers.get(route)
  if (!required || !listening) return false
  let payload: unknown
  try {
    payload = JSON.parse(typeof bytes === 'string' ? bytes : new TextDecoder().decode(bytes))
  } catch {
    return false
  }
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return false
  if (required.some((field) => !(field in payload))) return false
  for (const handler of listening) handler(payload as never)
  return true
}
