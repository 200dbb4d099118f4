import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { ChatMessage, ChatSend, SessionAsk } from '@/types/chat'

const broker = vi.hoisted(() => ({ published: [] as { topic: string; payload: never }[], connected: new Set<() => void>(), up: { isConnected: false } }))

vi.mock('@/services/websocket', () => ({
  clientId: 'console-test',
  wsConnection: broker.up,
  connect: () => undefined,
  onConnected: (listener: () => void) => broker.connected.add(listener),
  publish: (topic: string, payload: never) => {
    if (!broker.up.isConnected) return Promise.reject(new Error('not connected'))
    broker.published.push({ topic, payload })
    return Promise.resolve()
  },
}))

const { useChatStore } = await import('@/stores/chatStore')
const { dispatch } = await import('@/services/mqttRouter')

const said = (id: string, seq: number, more: Partial<ChatMessage> = {}): ChatMessage => ({ id, session_id: 'main', role: 'assistant', username: 'Talkwire', text: id, ts: seq, seq, rev: 0, change: seq, ...more })
const hear = (message: ChatMessage) => dispatch('chat/receive', JSON.stringify(message))
const asked = () => broker.published.filter(({ topic }) => topic === 'chat/session/list').map(({ payload }) => payload as SessionAsk)
const sent = () => broker.published.filter(({ topic }) => topic === 'chat/send').map(({ payload }) => payload as ChatSend)
const answer = (ask: SessionAsk, messages: ChatMessage[], more = false) => dispatch('chat/client/console-test/session/listed', JSON.stringify({ request_id: ask.request_id, messages, more }))

function comesUp(): void {
  broker.up.isConnected = true
  broker.connected.forEach((listener) => listener())
}

describe('the conversation', () => {
  let chat: ReturnType<typeof useChatStore>
  beforeEach(async () => {
    vi.useRealTimers()
    broker.published.length = 0
    broker.connected.clear()
    broker.up.isConnected = false
    setActivePinia(createPinia())
    chat = useChatStore()
    await chat.initializeWebSocket()
  })

  it('orders by seq, replaces by a higher rev, ignores a lower one and repeats', () => {
    hear(said('b', 2))
    hear(said('a', 1))
    hear(said('b', 2, { rev: 2, text: 'newer' }))
    hear(said('b', 2, { rev: 1, text: 'older' }))
    hear(said('a', 1))
    expect(chat.messages.map((message) => message.text)).toEqual(['a', 'newer'])
  })

  it('leaves other conversations alone', () => {
    hear(said('x', 1, { session_id: 'other' }))
    expect(chat.messages).toEqual([])
  })

  it('asks for the newest at first, for older ones above, and for what it missed after a loss', async () => {
    comesUp()
    const first = asked()[0]!
    expect(first.before).toBe(Number.MAX_SAFE_INTEGER)
    answer(first, [said('m9', 9), said('m10', 10, { change: 14 })], true)
    await vi.waitFor(() => expect(chat.ready).toBe(true))
    const older = chat.loadOlder()
    expect(asked()[1]!.before).toBe(9)
    answer(asked()[1]!, [said('m8', 8)], false)
    await older
    expect(chat.more).toBe(false)
    expect(chat.messages.map((message) => message.id)).toEqual(['m8', 'm9', 'm10'])
    comesUp()
    expect(asked()[2]!.after).toBe(14)
    expect(asked()[2]!.before).toBeUndefined()
  })

  it('shows a message at once, marks it sent, and lets the server’s copy take its place', async () => {
    comesUp()
    const id = (await chat.sendMessage('  hello  '))!
    expect(sent()[0]).toMatchObject({ id, text: 'hello', session_id: 'main', client_id: 'console-test' })
    expect(chat.deliveryOf(id)?.status).toBe('sent')
    expect(chat.entries.at(-1)).toMatchObject({ id, pending: true })
    hear(said(id, 5, { role: 'user', text: 'hello' }))
    expect(chat.entries.filter((entry) => entry.id === id)).toHaveLength(1)
    expect(chat.entries.at(-1)?.pending).toBeUndefined()
  })

  it('keeps a message while there is no connection and sends it once there is, with the same id', async () => {
    const id = (await chat.sendMessage('waits'))!
    expect(sent()).toEqual([])
    expect(chat.deliveryOf(id)?.status).toBe('sending')
    comesUp()
    answer(asked()[0]!, [])
    await vi.waitFor(() => expect(sent().map((message) => message.id)).toEqual([id]))
  })

  it('fails after a while and tries again with the same id', async () => {
    vi.useFakeTimers()
    const id = (await chat.sendMessage('late'))!
    vi.advanceTimersByTime(30_000)
    expect(chat.deliveryOf(id)).toMatchObject({ status: 'failed', code: 'E_OFFLINE' })
    broker.up.isConnected = true
    await chat.tryAgain(id)
    expect(sent().map((message) => message.id)).toEqual([id])
    expect(chat.deliveryOf(id)?.status).toBe('sent')
  })

  it('hears a refusal, and no other page’s', async () => {
    comesUp()
    const id = (await chat.sendMessage('x'))!
    dispatch('chat/error', JSON.stringify({ id: 'foreign', code: 'E_CHAT_MESSAGE', message: 'no' }))
    expect(chat.deliveryOf(id)?.status).toBe('sent')
    dispatch('chat/error', JSON.stringify({ id, code: 'E_CHAT_MESSAGE', message: 'too long' }))
    expect(chat.deliveryOf(id)).toMatchObject({ status: 'failed', error: 'too long' })
  })

  it('says "being worked on" only until the answer is complete', async () => {
    comesUp()
    const id = (await chat.sendMessage('slow'))!
    dispatch('chat/status', JSON.stringify({ id, status: 'processing' }))
    const step = { trace_id: 't', tool: 'x', title: 'x', device_id: 'd', device_name: 'd' }
    hear(said('r', 7, { in_reply_to: id, parts: [{ kind: 'steps', diagnosis_id: 'dg', steps: [{ ...step, status: 'running' }] }] }))
    expect(chat.deliveryOf(id)?.status).toBe('processing')
    expect(chat.running).toBe('dg')
    hear(said('r', 7, { rev: 1, in_reply_to: id, parts: [{ kind: 'steps', diagnosis_id: 'dg', steps: [{ ...step, status: 'completed' }] }] }))
    expect(chat.deliveryOf(id)?.status).toBe('sent')
    expect(chat.running).toBeNull()
  })
})
