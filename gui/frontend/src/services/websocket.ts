// The connection to the broker: MQTT 5 over WebSocket, with our own back-off and a true state.
import mqtt, { type MqttClient } from 'mqtt'
import { reactive } from 'vue'
import { backoffMs } from './backoff'
import { identity, openLocalSession } from './identity'
import { randomWord } from './ids'
import { dispatch, subscriptions } from './mqttRouter'

export type Phase = 'idle' | 'connecting' | 'connected' | 'waiting'

export const wsConnection = reactive({
  isConnected: false,
  phase: 'idle' as Phase,
  /** Unix milliseconds of the next try, while waiting. */
  nextTryAt: null as number | null,
  /** Since when the present phase of being connected or not holds. */
  since: Date.now(),
  attempt: 0,
})

/** The MQTT client id of this page. */
export const clientId = `console-${randomWord()}`

const PULSE_MS = 4_000

let client: MqttClient | null = null
let timer: ReturnType<typeof setTimeout> | undefined
let wanted = false
let round = 0
const listeners = new Set<() => void>()

/** Runs at every connect, also the first. */
export function onConnected(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** The address of the broker. */
export function brokerUrl(): string {
  const env = import.meta.env
  if (env.VITE_WS_URL) return env.VITE_WS_URL
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
  const host = env.VITE_MQTT_BROKER_HOST || location.hostname
  const bare = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
  return `${scheme}://${bare}:${env.VITE_MQTT_BROKER_WS_PORT || identity.value?.ws_port || 8885}`
}

function lost(mine: number): void {
  if (mine !== round) return
  round++
  const old = client
  client = null
  old?.removeAllListeners()
  old?.on('error', () => undefined)
  old?.end(true)
  if (wsConnection.isConnected) wsConnection.since = Date.now()
  wsConnection.isConnected = false
  if (!wanted) {
    wsConnection.phase = 'idle'
    return
  }
  const wait = backoffMs(wsConnection.attempt++)
  wsConnection.phase = 'waiting'
  wsConnection.nextTryAt = Date.now() + wait
  clearTimeout(timer)
  timer = setTimeout(() => void attempt(), wait)
}

async function attempt(): Promise<void> {
  clearTimeout(timer)
  const mine = ++round
  wsConnection.phase = 'connecting'
  wsConnection.nextTryAt = null
  try {
    await openLocalSession()
  } catch {
    return lost(mine)
  }
  if (mine !== round || !wanted) return
  const session = identity.value
  try {
    client = mqtt.connect(brokerUrl(), {
      protocolVersion: 5,
      clientId,
      username: session?.mqtt.username,
      password: session?.mqtt.password,
      clean: true,
      reconnectPeriod: 0,
      connectTimeout: 8_000,
      keepalive: 60,
      resubscribe: false,
      // Workers from blobs are against a strict content security policy.
      timerVariant: 'native',
    })
  } catch {
    return lost(mine)
  }
  const mqttClient = client
  watchOver(mqttClient, mine)
  mqttClient.on('message', (topic, bytes) => dispatch(topic, bytes))
  mqttClient.on('error', () => lost(mine))
  mqttClient.on('close', () => lost(mine))
  mqttClient.on('offline', () => lost(mine))
  mqttClient.on('connect', () => {
    mqttClient.subscribe(subscriptions(clientId), { qos: 1 }, (error) => {
      if (mine !== round) return
      if (error && !mqttClient.connected) return lost(mine)
      wsConnection.attempt = 0
      wsConnection.phase = 'connected'
      wsConnection.isConnected = true
      wsConnection.since = Date.now()
      for (const listener of listeners) listener()
    })
  })
}

/** While somebody looks, a silent server is noticed within seconds; hidden pages leave it to the keep-alive. */
function watchOver(mqttClient: MqttClient, mine: number): void {
  let heardAt = Date.now()
  let askedAt = 0
  mqttClient.on('packetreceive', () => {
    heardAt = Date.now()
    askedAt = 0
  })
  const pulse = setInterval(() => {
    if (mine !== round) return clearInterval(pulse)
    if (!mqttClient.connected || document.hidden) return void (askedAt = 0)
    const now = Date.now()
    if (askedAt && now - askedAt > PULSE_MS) return lost(mine)
    if (!askedAt && now - heardAt > PULSE_MS) {
      askedAt = now
      mqttClient.sendPing()
    }
  }, PULSE_MS / 4)
}

/** Connects, and keeps trying from then on. */
export function connect(): void {
  if (wanted) return
  wanted = true
  window.addEventListener('online', retryNow)
  window.addEventListener('offline', wentOffline)
  void attempt()
}

/** Ends the connection for good. */
export function disconnect(): void {
  wanted = false
  clearTimeout(timer)
  window.removeEventListener('online', retryNow)
  window.removeEventListener('offline', wentOffline)
  lost(round)
}

/** Does not wait for the next try. */
export function retryNow(): void {
  if (wanted && wsConnection.phase === 'waiting') void attempt()
}

function wentOffline(): void {
  if (wsConnection.isConnected && !['localhost', '127.0.0.1', '[::1]'].includes(location.hostname)) lost(round)
}

/** Publishes with QoS 1. Resolves when the broker has stored it. */
export function publish(topic: string, payload: unknown, timeoutMs = 10_000): Promise<void> {
  const target = client
  if (!target || !wsConnection.isConnected) return Promise.reject(new Error('not connected'))
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error('not acknowledged')), timeoutMs)
    target.publish(topic, JSON.stringify(payload), { qos: 1 }, (error) => {
      clearTimeout(limit)
      if (error) reject(error)
      else resolve()
    })
  })
}
