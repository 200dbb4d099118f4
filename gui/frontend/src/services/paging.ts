// Lists of /api/v1 come in pages.
import type { Page } from '@/types/api'
import { get } from './api'

/** Follows `next` until the list ends, or `most` items are there. */
export async function everyPage<T>(path: string, most = 2_000): Promise<T[]> {
  const items: T[] = []
  let after: string | number | null | undefined
  do {
    const query = new URLSearchParams({ limit: '200' })
    if (after !== undefined && after !== null) query.set('after', String(after))
    const page = await get<Page<T>>(`${path}?${query}`)
    items.push(...page.items)
    if (page.items.length === 0 || page.next === after) break
    after = page.next
  } while (after !== undefined && after !== null && items.length < most)
  return items
}
