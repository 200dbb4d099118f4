// The diagnosis sessions: the list, and single ones with their steps.
import { defineStore } from 'pinia'
import { computed, ref } from 'vue'
import { usePagedList } from '@/composables/usePagedList'
import { get, post } from '@/services/api'
import { onEvent } from '@/services/events'
import type { Diagnosis } from '@/types/api'

type Nested = { session?: Partial<Diagnosis> } & Partial<Diagnosis>

/** One shape for a session, whether it comes nested (single) or flat (list). */
export function diagnosisOf(raw: Nested): Diagnosis {
  const { session, ...rest } = raw
  const joined = { ...rest, ...session } as Diagnosis
  return { ...joined, steps: joined.steps ?? [], user_request: joined.user_request ?? '' }
}

export const useSessionStore = defineStore('sessions', () => {
  const byId = ref(new Map<string, Diagnosis>())
  let listening = false

  const sessions = computed(() => [...byId.value.values()].sort((a, b) => b.created_at - a.created_at))

  function put(raw: Nested): Diagnosis {
    const fresh = diagnosisOf(raw)
    const old = byId.value.get(fresh.session_id)
    // A list's row may leave out the steps that we know already.
    const joined = { ...old, ...fresh, steps: fresh.steps.length || !old ? fresh.steps : old.steps }
    byId.value.set(fresh.session_id, joined)
    return joined
  }

  function listen(): void {
    if (listening) return
    listening = true
    onEvent<Nested>('session', (raw) => {
      if (raw && (raw.session?.session_id || raw.session_id)) put(raw)
    })
  }

  const list = usePagedList<Nested>('/sessions', put)
  function load(after?: string | number): Promise<void> {
    listen()
    return list.load(after)
  }

  async function loadOne(id: string): Promise<Diagnosis> {
    listen()
    return put(await get<Nested>(`/sessions/${encodeURIComponent(id)}`))
  }

  /** Stops a running diagnosis. */
  async function cancel(id: string): Promise<void> {
    await post(`/sessions/${encodeURIComponent(id)}/cancel`)
  }

  return { sessions, byId, ...list, load, loadOne, cancel }
})
