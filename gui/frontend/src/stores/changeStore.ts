// The change sets: the list, single ones, and what a person decides about them.
import { defineStore } from 'pinia'
import { computed, ref, toRaw } from 'vue'
import { usePagedList } from '@/composables/usePagedList'
import { get, post } from '@/services/api'
import { onEvent } from '@/services/events'
import type { Changeset } from '@/types/api'
import type { ChangesetView } from '@/types/chat'

const ORDER = ['draft', 'proposed', 'approved', 'preparing', 'applied', 'verifying', 'committed', 'rollback_failed', 'rolled_back', 'rejected', 'expired']
const REFRESH_MS = 120

let arrivals = 0
const arrivedAt = new WeakMap<object, number>()

/** Remembers that this view of a card has just arrived: the last one to arrive is the true one. */
export function stampView(view: ChangesetView): void {
  arrivedAt.set(toRaw(view), ++arrivals)
}

/** How far along the usual way a state is. A kept change that is undone goes back to `applied` first. */
export function progressOf(status: string): number {
  return ORDER.indexOf(status)
}

export const useChangeStore = defineStore('changes', () => {
  const byId = ref(new Map<string, Changeset>())
  let listening = false

  const changes = computed(() => [...byId.value.values()].sort((a, b) => (b.created_ms ?? 0) - (a.created_ms ?? 0)))
  const waiting = computed(() => changes.value.filter((change) => change.status === 'proposed').length)

  function put(change: Changeset): Changeset {
    const old = byId.value.get(change.changeset_id)
    if (old && (old.history?.length ?? 0) > (change.history?.length ?? 0)) return old
    if (change.view) stampView(change.view)
    const joined = { ...old, ...change, view: change.view ?? old?.view }
    byId.value.set(change.changeset_id, joined)
    return joined
  }

  const refreshing = new Set<string>()

  /** The stream tells the set without its card and receipt: those are fetched. */
  function refresh(id: string): void {
    if (refreshing.has(id)) return
    refreshing.add(id)
    setTimeout(() => {
      refreshing.delete(id)
      void loadOne(id).catch(() => undefined)
    }, REFRESH_MS)
  }

  function listen(): void {
    if (listening) return
    listening = true
    onEvent<Changeset>('changeset', (change) => {
      if (!change?.changeset_id) return
      put(change)
      if (!change.view) refresh(change.changeset_id)
    })
  }

  const list = usePagedList<Changeset>('/changesets', put)
  function load(after?: string | number): Promise<void> {
    listen()
    return list.load(after)
  }

  async function loadOne(id: string): Promise<Changeset> {
    listen()
    return put(await get<Changeset>(`/changesets/${encodeURIComponent(id)}`))
  }

  /** The newest view of a card: the message's, or one that arrived later by another way. */
  function newest(view: ChangesetView): ChangesetView {
    const known = byId.value.get(view.changeset_id)?.view
    if (!known) return view
    return (arrivedAt.get(toRaw(known)) ?? 0) > (arrivedAt.get(toRaw(view)) ?? 0) ? known : view
  }

  const decide = async (id: string, verb: string, body: unknown = {}) => put(await post<Changeset>(`/changesets/${encodeURIComponent(id)}/${verb}`, body, 60_000))

  const approve = (id: string, planHash: string) => decide(id, 'approve', { plan_hash: planHash })
  const reject = (id: string) => decide(id, 'reject')
  const rollback = (id: string) => decide(id, 'rollback')

  const receipt = (id: string) => get<unknown>(`/receipts/${encodeURIComponent(id)}`)
  const verify = (receiptObject: unknown) => post<{ valid: boolean; reason?: string | null }>('/receipts/verify', receiptObject)

  return { changes, byId, waiting, ...list, load, loadOne, newest, approve, reject, rollback, receipt, verify }
})
