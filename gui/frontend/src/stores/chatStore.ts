// The conversation: what was said, in order, what is on its way, and what older history there is.
import { defineStore } from 'pinia'
import { computed, reactive, ref, shallowRef, triggerRef } from 'vue'
import { publishesOf } from '@/services/chunk'
import { serverNow } from '@/services/api'
import { identity } from '@/services/identity'
import { uuid } from '@/services/ids'
import { on } from '@/services/mqttRouter'
import { clientId, connect, onConnected, publish, wsConnection } from '@/services/websocket'
import { stampView } from './changeStore'
import type { ChatError, ChatMessage, ChatSend, ChatStatus, DeliveryStatus, SessionAnswer, SessionAsk } from '@/types/chat'

const MAIN = 'main'
const PAGE = 60
const CATCH_UP = 200
const SEND_LIMIT_MS = 20_000
const NEWEST = Number.MAX_SAFE_INTEGER

export interface Delivery {
  status: DeliveryStatus
  error?: string
  code?: string
}

/** A message of ours that the server has not shown back yet. */
export interface Outgoing extends ChatSend {
  ts: number
}

export type Entry = { id: string; message: ChatMessage; pending?: boolean }

export const useChatStore = defineStore('chat', () => {
  const sessionId = ref(MAIN)
  /** By `seq`; replaced as a whole when it changes. */
  const messages = shallowRef<ChatMessage[]>([])
  const outgoing = shallowRef<Outgoing[]>([])
  const deliveries = reactive(new Map<string, Delivery>())
  const ready = ref(false)
  const more = ref(false)
  const loadingOlder = ref(false)
  const places = new Map<string, number>()
  /** Which message answered which. */
  const answers = reactive(new Map<string, string>())
  const own = new Set<string>()
  /** Messages whose pieces were sent a second time because some were lost. */
  const repeated = new Set<string>()
  const asks = new Map<string, (answer: SessionAnswer | null) => void>()
  const timers = new Map<string, ReturnType<typeof setTimeout>>()
  let lastChange = 0
  let listening = false

  const entries = computed<Entry[]>(() => [
    ...messages.value.map((message) => ({ id: message.id, message })),
    ...outgoing.value.map((message) => ({ id: message.id, message: shownAs(message), pending: true })),
  ])

  /** The diagnosis that runs now, if any. */
  const running = computed<string | null>(() => {
    for (let i = messages.value.length - 1; i >= 0 && i >= messages.value.length - 20; i--) {
      const id = runningIn(messages.value[i]!)
      if (id) return id
    }
    return null
  })

  function runningIn(message: ChatMessage): string | null {
    for (const part of message.parts ?? []) {
      if (part.kind === 'steps' && part.steps.some((step) => step.status === 'running' || step.status === 'waiting')) return part.diagnosis_id
    }
    return null
  }

  /** Where a message of ours stands. Answered in full, it is not being worked on any more. */
  function deliveryOf(id: string): Delivery | undefined {
    const delivery = deliveries.get(id)
    if (delivery?.status !== 'processing') return delivery
    const answer = messages.value[places.get(answers.get(id) ?? '') ?? -1]
    return answer && !runningIn(answer) ? { status: 'sent' } : delivery
  }

  function shownAs(message: Outgoing): ChatMessage {
    const name = identity.value?.principal.name ?? ''
    return { id: message.id, session_id: message.session_id, role: identity.value ? 'user' : 'guest', username: name, text: message.text, ts: message.ts, seq: NEWEST }
  }

  function isOwn(id: string): boolean {
    return own.has(id)
  }

  /** Takes messages in: a higher `rev` replaces, `seq` orders, repeats are nothing. */
  function take(incoming: ChatMessage[]): void {
    for (const message of incoming) {
      for (const part of message.parts ?? []) if (part.kind === 'changeset') stampView(part)
    }
    let changed = false
    let reorder = false
    const list = messages.value
    for (const message of incoming) {
      if ((message.session_id || MAIN) !== sessionId.value) continue
      if ((message.change ?? 0) > lastChange) lastChange = message.change!
      const place = places.get(message.id)
      if (place === undefined) {
        reorder ||= list.length > 0 && message.seq < list[list.length - 1]!.seq
        places.set(message.id, list.length)
        list.push(message)
        if (message.in_reply_to && own.has(message.in_reply_to)) answers.set(message.in_reply_to, message.id)
        arrived(message.id)
        changed = true
      } else if ((message.rev ?? 0) > (list[place]!.rev ?? 0)) {
        reorder ||= message.seq !== list[place]!.seq
        list[place] = message
        changed = true
      }
    }
    if (!changed) return
    if (reorder) {
      list.sort((a, b) => a.seq - b.seq || a.ts - b.ts)
      list.forEach((message, index) => places.set(message.id, index))
    }
    triggerRef(messages)
  }

  function arrived(id: string): void {
    const waiting = outgoing.value
    if (!waiting.some((message) => message.id === id)) return
    outgoing.value = waiting.filter((message) => message.id !== id)
    advance(id, 'sent')
  }

  const RANK: Record<DeliveryStatus, number> = { failed: 0, sending: 1, sent: 2, processing: 3 }

  /** Moves a message's state forward; only a refusal moves it back. */
  function advance(id: string, status: DeliveryStatus, error?: ChatError): void {
    const now = deliveries.get(id)
    if (status !== 'failed' && now && now.status !== 'failed' && RANK[status] < RANK[now.status]) return
    if (status !== 'sending') settle(id)
    deliveries.set(id, { status, error: error?.message, code: error?.code })
  }

  function settle(id: string): void {
    clearTimeout(timers.get(id))
    timers.delete(id)
  }

  function heardStatus(status: ChatStatus): void {
    if (!own.has(status.id)) return
    advance(status.id, status.status, status.error)
  }

  function heardError(error: ChatError): void {
    // A question that was refused: the conversation may not be there yet.
    const asked = asks.get(error.id ?? '')
    if (asked) return asked({ messages: [] })
    const lost = outgoing.value.find((message) => message.id === error.id)
    if (lost && error.code === 'E_CHAT_CHUNK' && !repeated.has(lost.id)) {
      repeated.add(lost.id)
      return void transmit(lost)
    }
    if (error.id && own.has(error.id)) advance(error.id, 'failed', error)
  }

  async function transmit(message: Outgoing): Promise<void> {
    deliveries.set(message.id, { status: 'sending' })
    settle(message.id)
    timers.set(
      message.id,
      setTimeout(() => {
        if (deliveries.get(message.id)?.status === 'sending') deliveries.set(message.id, { status: 'failed', code: wsConnection.isConnected ? 'E_NO_ANSWER' : 'E_OFFLINE' })
      }, SEND_LIMIT_MS),
    )
    if (!wsConnection.isConnected) return
    try {
      for (const piece of publishesOf({ ...message, client_id: clientId })) await publish('chat/send', piece)
      advance(message.id, 'sent')
    } catch {
      // Still `sending`: the next connection, or its time limit, decides.
    }
  }

  /** Sends a text. While there is no connection it waits for one. Returns the message's id. */
  async function sendMessage(text: string, replyTo?: string): Promise<string | null> {
    const trimmed = text.trim()
    if (!trimmed) return null
    const message: Outgoing = { id: uuid(), session_id: sessionId.value, text: trimmed, ts: Math.round(serverNow()), ...(replyTo ? { reply_to: replyTo } : {}) }
    own.add(message.id)
    outgoing.value = [...outgoing.value, message]
    await transmit(message)
    return message.id
  }

  /** Sends a failed message again, with the same id. */
  async function tryAgain(id: string): Promise<void> {
    const waiting = outgoing.value.find((message) => message.id === id)
    const stored = messages.value[places.get(id) ?? -1]
    const message = waiting ?? (stored && { id, session_id: stored.session_id, text: stored.text, ts: stored.ts })
    if (message) await transmit(message)
  }

  /** Takes a failed message away. */
  function discard(id: string): void {
    settle(id)
    outgoing.value = outgoing.value.filter((message) => message.id !== id)
    deliveries.delete(id)
  }

  async function ask(question: SessionAsk): Promise<SessionAnswer | null> {
    const request_id = uuid()
    return new Promise((resolve) => {
      const done = (answer: SessionAnswer | null) => {
        clearTimeout(limit)
        asks.delete(request_id)
        resolve(answer)
      }
      const limit = setTimeout(() => done(null), 8_000)
      asks.set(request_id, done)
      publish('chat/session/list', { ...question, request_id, client_id: clientId }).catch(() => done(null))
    })
  }

  async function loadNewest(): Promise<void> {
    const answer = await ask({ session_id: sessionId.value, before: NEWEST, limit: PAGE })
    if (!answer) {
      if (wsConnection.isConnected) setTimeout(() => wsConnection.isConnected && !ready.value && void loadNewest(), 2_000)
      return
    }
    take(answer.messages ?? [])
    more.value = answer.more ?? false
    ready.value = true
  }

  async function catchUp(): Promise<void> {
    for (let round = 0; round < 50; round++) {
      const before = lastChange
      const answer = await ask({ session_id: sessionId.value, after: lastChange, limit: CATCH_UP })
      take(answer?.messages ?? [])
      if (!answer || (answer.messages?.length ?? 0) < CATCH_UP || lastChange === before) return
    }
  }

  /** Loads history above the oldest message. */
  async function loadOlder(): Promise<void> {
    const oldest = messages.value[0]
    if (!more.value || loadingOlder.value || !oldest || !wsConnection.isConnected) return
    loadingOlder.value = true
    const answer = await ask({ session_id: sessionId.value, before: oldest.seq, limit: PAGE })
    if (answer) {
      take(answer.messages ?? [])
      more.value = (answer.more ?? false) && (answer.messages?.length ?? 0) > 0
    }
    loadingOlder.value = false
  }

  async function reconnected(): Promise<void> {
    if (ready.value && lastChange > 0) await catchUp()
    else await loadNewest()
    for (const message of outgoing.value) {
      if (deliveries.get(message.id)?.status === 'sending') void transmit(message)
    }
  }

  /** Connects, and keeps the conversation complete from then on. */
  async function initializeWebSocket(): Promise<void> {
    if (listening) return
    listening = true
    on('chat/receive', (message) => take([message]))
    on('chat/status', heardStatus)
    on('chat/error', heardError)
    on('chat/session/listed', (answer) => asks.get(answer.request_id ?? '')?.(answer))
    onConnected(() => void reconnected())
    connect()
  }

  return { sessionId, messages, outgoing, entries, deliveries, deliveryOf, ready, more, loadingOlder, running, initializeWebSocket, sendMessage, tryAgain, discard, loadOlder, isOwn, take }
})
