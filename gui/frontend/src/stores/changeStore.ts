// The change sets: the list, single ones, and what a person decides about them.
import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { get, post, type Problem } from '@/services/api'
import { onEvent } from '@/services/events'
import type { Changeset, Page } from '@/types/api'
import type { ChangesetView } from '@/types/chat'

const ORDER = ['draft', 'proposed', 'approved', 'preparing', 'applied', 'verifying', 'committed', 'rolled_back', 'rollback_failed', 'rejected', 'expired']

/** How far along a state is; the later one of two views is the true one. */
export function progressOf(status: string): number {
  return ORDER.indexOf(status)
}

export const useChangeStore = defineStore('changes', () => {
  const byId = ref(new Map<string, Changeset>())
  const loaded = ref(false)
  const next = ref<string | number | null>(null)
  const problem = shallowRef<Problem | null>(null)
  let listening = false

  const changes = computed(() => [...byId.value.values()].sort((a, b) => (b.created_ms ?? 0) - (a.created_ms ?? 0)))
  const waiting = computed(() => changes.value.filter((change) => change.status === 'proposed').length)

  function put(change: Changeset): Changeset {
    const old = byId.value.get(change.changeset_id)
    if (old && progressOf(change.status) < progressOf(old.status)) return old
    const joined = { ...old, ...change }
    byId.value.set(change.changeset_id, joined)
    return joined
  }

  function listen(): void {
    if (listening) return
    listening = true
    onEvent<Changeset>('changeset', (change) => {
      if (change?.changeset_id) put(change)
    })
  }

  async function load(after?: string | number): Promise<void> {
    listen()
    try {
      const page = await get<Page<Changeset>>(`/changesets?limit=50${after === undefined ? '' : `&after=${encodeURIComponent(after)}`}`)
      page.items.forEach(put)
      next.value = page.next ?? null
      problem.value = null
      loaded.value = true
    } catch (error) {
      problem.value = error as Problem
    }
  }

  async function loadOne(id: string): Promise<Changeset> {
    listen()
    return put(await get<Changeset>(`/changesets/${encodeURIComponent(id)}`))
  }

  /** The newest view of a card: the message's, or a later one that we heard of otherwise. */
  function newest(view: ChangesetView): ChangesetView {
    const known = byId.value.get(view.changeset_id)
    if (!known || progressOf(known.status) <= progressOf(view.status)) return view
    return { ...view, ...known.view, status: known.status, deadline_ms: known.view?.deadline_ms ?? known.deadline_ms ?? undefined }
  }

  const decide = async (id: string, verb: string, body: unknown = {}) => put(await post<Changeset>(`/changesets/${encodeURIComponent(id)}/${verb}`, body, 60_000))

  const approve = (id: string, planHash: string) => decide(id, 'approve', { plan_hash: planHash })
  const reject = (id: string) => decide(id, 'reject')
  const rollback = (id: string) => decide(id, 'rollback')

  const receipt = (id: string) => get<unknown>(`/receipts/${encodeURIComponent(id)}`)
  const verify = (receiptObject: unknown) => post<{ valid: boolean; reason?: string | null }>('/receipts/verify', receiptObject)

  return { changes, byId, waiting, loaded, next, problem, load, loadOne, newest, approve, reject, rollback, receipt, verify }
})
