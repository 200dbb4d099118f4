import { describe, expect, it } from 'vitest'
import { arrowOf, layoutOf, type Box, type Layout } from '@/services/layout'
import { branchesOf, forestOf, mediumOf, qualityOf, sourcesOf, tierOf } from '@/services/network'
import { niceTicks, runsOf } from '@/services/scale'
import type { NetLink, NetNode } from '@/types/api'

const node = (device_id: string, role: string, more: Partial<NetNode> = {}): NetNode => ({ device_id, role, known: false, ...more })
const link = (from: string, to: string, more: Partial<NetLink> = {}): NetLink => ({ from, to, kind: 'wifi', ...more })

/** A router, five access points (one behind another), two hundred clients, three devices without a link. */
function house(): { nodes: NetNode[]; links: NetLink[] } {
  const aps = ['a1', 'a2', 'a3', 'a4', 'a5']
  const clients = Array.from({ length: 200 }, (_, n) => `c${n}`)
  return {
    nodes: [node('gw', 'gateway', { name: 'router', known: true }), ...aps.map((id) => node(id, 'access_point')), ...clients.map((id) => node(id, 'client')), ...['x', 'y', 'z'].map((id) => node(id, 'client', { online: false }))],
    links: [...aps.map((id) => link(id === 'a5' ? 'a4' : 'gw', id, { kind: 'ethernet' })), ...clients.map((id, n) => link(['gw', ...aps][n % 6]!, id))],
  }
}
const shuffled = <T>(list: T[]): T[] => list.map((item, n) => ({ item, key: (n * 7919) % 104_729 })).sort((a, b) => a.key - b.key).map(({ item }) => item)

describe('the forest of a network', () => {
  it('hangs everybody once, whatever the order and the direction of what was told', () => {
    const { nodes, links } = house()
    const forest = forestOf({ nodes, links })
    expect(forest.roots.map((root) => root.node.device_id)).toEqual(['gw'])
    expect(branchesOf(forest).map(({ branch, parent }) => [branch.node.device_id, parent?.node.device_id])).toEqual([['gw', undefined], ['a1', 'gw'], ['a2', 'gw'], ['a3', 'gw'], ['a4', 'gw'], ['a5', 'a4']])
    expect(branchesOf(forest).reduce((all, { branch }) => all + branch.clients.length, 0)).toBe(200)
    expect(forest.loose.map((leaf) => leaf.node.device_id)).toEqual(['x', 'y', 'z'])
    const turned = links.map((one) => ({ ...one, from: one.to, to: one.from }))
    const shape = (of: typeof forest) => branchesOf(of).map(({ branch, parent }) => [branch.node.device_id, parent?.node.device_id, branch.clients.map((leaf) => leaf.node.device_id)])
    expect(shape(forestOf({ nodes: shuffled(nodes), links: shuffled(turned) }))).toEqual(shape(forest))
  })
  it('ends at rings, at lies and at links to nobody', () => {
    const ring = forestOf({ nodes: [node('a', 'access_point'), node('b', 'access_point'), node('c', 'client')], links: [link('a', 'b'), link('b', 'a'), link('a', 'a'), link('a', 'nobody'), link('a', 'c'), link('b', 'c')] })
    expect(branchesOf(ring).map(({ branch }) => [branch.node.device_id, branch.clients.length])).toEqual([['a', 1], ['b', 0]])
    expect(forestOf({ nodes: [], links: [link('a', 'b')] })).toEqual({ roots: [], loose: [] })
  })
  it('hangs on a client what nothing else leads to', () => {
    const forest = forestOf({ nodes: [node('gw', 'gateway'), node('pc', 'client'), node('printer', 'client')], links: [link('gw', 'pc'), link('pc', 'printer')] })
    expect(branchesOf(forest).map(({ branch, parent }) => [branch.node.device_id, parent?.node.device_id ?? '', branch.clients.map((leaf) => leaf.node.device_id)])).toEqual([['gw', '', []], ['pc', 'gw', ['printer']]])
  })
  it('knows places, kinds, qualities and voices', () => {
    expect([tierOf({ role: 'provider' }), tierOf({ device_type: 'wifi_router' }), tierOf({ role: 'client', device_type: 'router' }), tierOf({ device_type: 'mesh_node' }), tierOf({})]).toEqual(['outside', 'gateway', 'client', 'access', 'client'])
    expect([0.9, 0.4, 0.1, null].map((quality) => qualityOf(link('a', 'b', { quality })))).toEqual(['good', 'fair', 'weak', 'unknown'])
    expect([mediumOf(link('a', 'b')), mediumOf(link('a', 'b', { kind: 'ethernet' })), mediumOf(link('a', 'b', { kind: 'plc' }))]).toEqual(['wireless', 'wired', 'unknown'])
    expect([sourcesOf({ sources: ['b', 'a'], source: 'a' }), sourcesOf({ source: 'x' }), sourcesOf({})]).toEqual([['a', 'b'], ['x'], []])
  })
})

const overlaps = (a: Box, b: Box) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
function sound(layout: Layout): void {
  for (const [index, one] of layout.boxes.entries()) {
    expect(one.x >= 0 && one.y >= 0 && one.x + one.w <= layout.width && one.y + one.h <= layout.height, one.id).toBe(true)
    for (const other of layout.boxes.slice(index + 1)) expect(overlaps(one, other), `${one.kind} ${one.id} and ${other.kind} ${other.id}`).toBe(false)
  }
}

describe('the drawing of a network', () => {
  const forest = forestOf(house())
  it('lays two hundred clients out without one box on another, wide and narrow, folded and unfolded', () => {
    for (const room of [1_000, 340])
      for (const open of [true, false]) {
        const layout = layoutOf(forest, () => open, room)
        sound(layout)
        const shown = layout.boxes.filter((box) => box.kind === 'client').length
        const counted = layout.boxes.filter((box) => box.kind === 'group').reduce((all, box) => all + box.count, 0)
        expect([shown, counted]).toEqual([open ? 203 : 0, 203])
        if (room < 560) expect(layout.width).toBeLessThanOrEqual(room + 16)
      }
  })
  it('puts everybody below what it hangs on, and is the same for the same network', () => {
    const layout = layoutOf(forest, () => true, 1_000)
    const tops = new Map(layout.boxes.filter((box) => box.kind === 'node').map((box) => [box.id, box]))
    for (const box of layout.boxes) if (box.parent && box.parent !== box.id) expect(box.y).toBeGreaterThan(tops.get(box.parent)!.y)
    const { nodes, links } = house()
    expect(layoutOf(forestOf({ nodes: shuffled(nodes), links: shuffled(links) }), () => true, 1_000).boxes.map(({ id, x, y }) => [id, x, y])).toEqual(layout.boxes.map(({ id, x, y }) => [id, x, y]))
  })
  it('draws a way there and a way back beside each other', () => {
    const layout = layoutOf(forest, () => false, 1_000)
    const [one, other] = ['a1', 'a2'].map((id) => layout.boxes.find((box) => box.kind === 'node' && box.id === id)!)
    expect(arrowOf(one!, other!).d).not.toBe(arrowOf(other!, one!).d)
    expect(arrowOf(one!, other!).d).toMatch(/^M[\d.]+ [\d.]+[LC]/)
  })
})

describe('the scale of a chart', () => {
  it('has round figures around what was measured', () => {
    expect(niceTicks(12, 87, 4)).toEqual([0, 20, 40, 60, 80, 100])
    expect(niceTicks(0, 0.3, 4)[0]).toBe(0)
    expect(niceTicks(4, 4, 4)).toEqual([3, 3.5, 4, 4.5, 5])
    for (const [low, high] of [[5, 5], [0, 0], [-71, -58], [1e-3, 2e-3], [0, 94_000_000]] as const) {
      const ticks = niceTicks(low, high, 4)
      expect(ticks.length).toBeGreaterThan(1)
      expect(ticks.length).toBeLessThan(9)
      expect(ticks[0]! <= low && ticks[ticks.length - 1]! >= high, `${low} to ${high}: ${ticks}`).toBe(true)
    }
  })
  it('breaks the line where nothing was told', () => {
    const at = (...times: number[]) => times.map((ts_ms) => ({ ts_ms }))
    expect(runsOf(at(0, 10, 20, 90, 100), 5).map((run) => run.length)).toEqual([3, 2])
    expect(runsOf(at(0), 5)).toHaveLength(1)
    expect(runsOf([], 5)).toEqual([])
  })
})
