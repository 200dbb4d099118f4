// The network of a place as a forest: who hangs on whom, in an order that does not depend on the order of the answer.
import type { NetLink, NetNode, NetPlace } from '@/types/api'

export type Tier = 'outside' | 'gateway' | 'access' | 'client'
export type Quality = 'good' | 'fair' | 'weak' | 'unknown'
export type Medium = 'wired' | 'wireless' | 'unknown'

/** A client, or a device whose place is not known, with its link. */
export interface Leaf {
  node: NetNode
  link: NetLink | null
}

/** A device that others hang on. */
export interface Branch extends Leaf {
  tier: Tier
  branches: Branch[]
  clients: Leaf[]
}

export interface Forest {
  roots: Branch[]
  /** Devices that no link was told of. */
  loose: Leaf[]
}

const TIERS: Tier[] = ['outside', 'gateway', 'access', 'client']

/** Where a device stands: by its role, else by its type. */
export function tierOf(node: Pick<NetNode, 'role' | 'device_type'>): Tier {
  const role = node.role ?? ''
  if (/^(provider|internet|wan|isp)$/.test(role)) return 'outside'
  if (/gateway|router/.test(role)) return 'gateway'
  if (/access|mesh|repeater|extender|switch|bridge/.test(role)) return 'access'
  if (role) return 'client'
  const type = node.device_type ?? ''
  if (/router|gateway|modem/.test(type)) return 'gateway'
  if (/access_point|^ap$|mesh|extender|switch|bridge/.test(type)) return 'access'
  return 'client'
}

export function mediumOf(link: NetLink): Medium {
  if (link.kind === 'wifi') return 'wireless'
  if (link.kind === 'ethernet') return 'wired'
  return 'unknown'
}

/** A quality in a word; the score's thirds lie near -66 and -76 dBm. */
export function qualityOf(link: NetLink): Quality {
  if (typeof link.quality !== 'number') return 'unknown'
  return link.quality >= 0.6 ? 'good' : link.quality >= 0.35 ? 'fair' : 'weak'
}

/** Who said it, whether as a list or as a single word. */
export function sourcesOf(told: { sources?: string[] | null; source?: string | string[] | null }): string[] {
  return [...new Set([told.sources ?? [], told.source ?? []].flat())].filter((word): word is string => typeof word === 'string' && word !== '').sort()
}

export const nameOf = (node: NetNode) => node.name || node.device_id

/** One order for all readers, whatever their language: the picture is the same for everybody. */
const order = new Intl.Collator('en', { numeric: true })

/** The order of siblings: by tier, then by name, then by id. */
function before(one: NetNode, other: NetNode): number {
  const rank = TIERS.indexOf(tierOf(one)) - TIERS.indexOf(tierOf(other))
  if (rank) return rank
  return order.compare(nameOf(one), nameOf(other)) || (one.device_id < other.device_id ? -1 : 1)
}

/** Hangs every device on the one nearest to the internet that it is linked with. */
export function forestOf({ nodes, links }: Pick<NetPlace, 'nodes' | 'links'>): Forest {
  const byId = new Map([...nodes].sort(before).map((node) => [node.device_id, node]))
  const linked = new Map<string, { id: string; link: NetLink }[]>()
  const join = (one: string, other: string, link: NetLink) => linked.set(one, [...(linked.get(one) ?? []), { id: other, link }])
  for (const link of links) {
    if (!byId.has(link.from) || !byId.has(link.to) || link.from === link.to) continue
    join(link.from, link.to, link)
    join(link.to, link.from, link)
  }
  const rank = new Map([...byId.keys()].map((id, index) => [id, index]))
  for (const [id, ends] of linked) linked.set(id, ends.sort((a, b) => rank.get(a.id)! - rank.get(b.id)!))

  const placed = new Map<string, Branch>()
  const roots: Branch[] = []
  const branch = (node: NetNode, link: NetLink | null): Branch => ({ node, link, tier: tierOf(node), branches: [], clients: [] })
  const grow = (start: Branch) => {
    placed.set(start.node.device_id, start)
    // Breadth first; clients last, so that nothing is hung on a client that hangs on an access point too.
    const queue = [start]
    const late: Branch[] = []
    for (let next = queue.shift() ?? late.shift(); next; next = queue.shift() ?? late.shift()) {
      for (const { id, link } of linked.get(next.node.device_id) ?? []) {
        if (placed.has(id)) continue
        const child = branch(byId.get(id)!, link)
        placed.set(id, child)
        next.branches.push(child)
        ;(child.tier === 'client' ? late : queue).push(child)
      }
    }
    roots.push(start)
  }
  for (const node of byId.values()) if (linked.has(node.device_id) && !placed.has(node.device_id)) grow(branch(node, null))
  const loose: Leaf[] = []
  for (const node of byId.values()) {
    if (placed.has(node.device_id)) continue
    if (tierOf(node) === 'client') loose.push({ node, link: null })
    else roots.push(branch(node, null))
  }
  // What nobody hangs on is a client; the rest are branches.
  for (const one of placed.values()) {
    one.clients = one.branches.filter((child) => child.tier === 'client' && child.branches.length === 0).map(({ node, link }) => ({ node, link }))
    one.branches = one.branches.filter((child) => !(child.tier === 'client' && child.branches.length + child.clients.length === 0))
  }
  return { roots, loose }
}

/** Every branch, parents before children. */
export function branchesOf(forest: Forest): { branch: Branch; parent: Branch | null }[] {
  const walk = (branch: Branch, parent: Branch | null): { branch: Branch; parent: Branch | null }[] => [{ branch, parent }, ...branch.branches.flatMap((child) => walk(child, branch))]
  return forest.roots.flatMap((root) => walk(root, null))
}
