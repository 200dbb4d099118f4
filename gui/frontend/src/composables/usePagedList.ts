// A list of /api/v1 that a store keeps: its first page, older ones on demand, and why it could not be loaded.
import { ref, shallowRef } from 'vue'
import { get, type Problem } from '@/services/api'
import type { Page } from '@/types/api'

const PAGE = 50

/** Hands each row of `path` to `take`; `next` names the row after which the following page begins, null at the end. */
export function usePagedList<T>(path: string, take: (row: T) => unknown) {
  const loaded = ref(false)
  const next = ref<string | number | null>(null)
  const problem = shallowRef<Problem | null>(null)

  async function load(after?: string | number): Promise<void> {
    try {
      const page = await get<Page<T>>(`${path}?limit=${PAGE}${after === undefined ? '' : `&after=${encodeURIComponent(after)}`}`)
      page.items.forEach(take)
      next.value = page.next ?? null
      problem.value = null
      loaded.value = true
    } catch (error) {
      problem.value = error as Problem
    }
  }

  return { loaded, next, problem, load }
}
