// The three lamps: our own connection, the assistant, the whole. Without a connection the other two are not known.
import { defineStore } from 'pinia'
import { computed, reactive } from 'vue'
import { on } from '@/services/mqttRouter'
import { wsConnection } from '@/services/websocket'
import type { ConnectionState } from '@/types/chat'

export type LampName = 'client' | 'ai' | 'system'
export type LampStatus = 'connected' | 'degraded' | 'disconnected' | 'connecting' | 'unknown'

export interface Lamp {
  name: LampName
  status: LampStatus
  detail?: string
  since?: number
  count?: number
}

function wordOf(status: string): LampStatus {
  return status === 'connected' || status === 'degraded' || status === 'disconnected' ? status : 'unknown'
}

export const useConnectionStore = defineStore('connection', () => {
  const heard = reactive<Partial<Record<LampName, ConnectionState>>>({})

  on('connection/client', (state) => (heard.client = state))
  on('connection/ai-core', (state) => (heard.ai = state))
  on('connection/system', (state) => (heard.system = state))

  const ownStatus = computed<LampStatus>(() => {
    if (wsConnection.isConnected) return 'connected'
    return wsConnection.phase === 'connecting' && wsConnection.attempt === 0 ? 'connecting' : 'disconnected'
  })

  function remote(name: 'ai' | 'system'): Lamp {
    const state = heard[name]
    if (!wsConnection.isConnected || !state) return { name, status: 'unknown' }
    return { name, status: wordOf(state.status), detail: state.detail, since: state.since, count: state.count }
  }

  const lamps = computed<Lamp[]>(() => [
    { name: 'client', status: ownStatus.value, since: wsConnection.since, detail: wsConnection.isConnected ? heard.client?.detail : undefined, count: wsConnection.isConnected ? heard.client?.count : undefined },
    remote('ai'),
    remote('system'),
  ])

  return { lamps }
})
