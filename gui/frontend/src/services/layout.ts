// Where the boxes of a network stand. The same forest gives the same picture: the internet above, then routers, access points, clients;
// where there is little room, one below the other with an indent.
import type { Branch, Forest, Leaf } from './network'

export interface Box {
  /** The device's id; of a group, the id of the one that its clients hang on (`''`: those that hang on nobody). */
  id: string
  kind: 'node' | 'client' | 'group'
  leaf: Leaf | null
  parent: string | null
  x: number
  y: number
  w: number
  h: number
  /** Of a group: how many it has, and whether they are shown. */
  count: number
  open: boolean
}

/** A line from one box to another; where it has room for words, `label` says where their middle is. */
export interface Line {
  key: string
  d: string
  /** `null`: to a group. */
  leaf: Leaf | null
  label: { x: number; y: number; w: number } | null
}

export interface Layout {
  width: number
  height: number
  boxes: Box[]
  lines: Line[]
}

export const SIZE = { card: { w: 188, h: 64 }, client: { w: 188, h: 50 }, group: { h: 34 }, gap: { x: 44, y: 8 }, link: 100, bend: 44, indent: 26 }
const PAD = 16

/** Columns of an unfolded group: few enough to read, many enough not to become a tower. */
const columnsOf = (count: number) => (count <= 8 ? 1 : count <= 24 ? 2 : 3)
const groupWidth = (count: number, open: boolean) => (open ? columnsOf(count) : 1) * (SIZE.client.w + SIZE.gap.y) - SIZE.gap.y

type IsOpen = (id: string) => boolean

/** `room`: how wide the picture may be before it is drawn one below the other. */
export function layoutOf(forest: Forest, isOpen: IsOpen, room: number): Layout {
  return room < 560 ? stacked(forest, isOpen, room) : tiered(forest, isOpen)
}

function tiered(forest: Forest, isOpen: IsOpen): Layout {
  const layout: Layout = { width: 0, height: 0, boxes: [], lines: [] }
  const widthOf = (branch: Branch): number => Math.max(SIZE.card.w, sum(columns(branch)))
  const columns = (branch: Branch): number[] => [...branch.branches.map(widthOf), ...(branch.clients.length ? [groupWidth(branch.clients.length, isOpen(branch.node.device_id))] : [])]
  const sum = (widths: number[]) => widths.reduce((all, width) => all + width, 0) + Math.max(0, widths.length - 1) * SIZE.gap.x

  function place(branch: Branch, parent: string | null, x: number, y: number): { middle: number } {
    const id = branch.node.device_id
    const widths = columns(branch)
    const middle = x + widthOf(branch) / 2
    layout.boxes.push({ id, kind: 'node', leaf: branch, parent, x: middle - SIZE.card.w / 2, y, w: SIZE.card.w, h: SIZE.card.h, count: 0, open: false })
    const bottom = y + SIZE.card.h
    const top = bottom + SIZE.link
    let at = x + (widthOf(branch) - sum(widths)) / 2
    for (const child of branch.branches) {
      const below = place(child, id, at, top)
      layout.lines.push({ key: child.node.device_id, d: drop(middle, bottom, below.middle, top), leaf: child, label: { x: below.middle, y: top - (SIZE.link - SIZE.bend) / 2 - 2, w: SIZE.card.w } })
      at += widthOf(child) + SIZE.gap.x
    }
    if (branch.clients.length) {
      const width = groupWidth(branch.clients.length, isOpen(id))
      layout.lines.push({ key: `group ${id}`, d: drop(middle, bottom, at + width / 2, top), leaf: null, label: null })
      group(id, branch.clients, at, top, width)
    }
    return { middle }
  }

  function group(id: string, clients: Leaf[], x: number, y: number, width: number): void {
    const open = isOpen(id)
    const most = open ? columnsOf(clients.length) : 1
    layout.boxes.push({ id, kind: 'group', leaf: null, parent: id, x, y, w: width, h: SIZE.group.h, count: clients.length, open })
    if (!open) return
    const rows = Math.ceil(clients.length / most)
    clients.forEach((leaf, index) => {
      const [column, row] = [Math.floor(index / rows), index % rows]
      layout.boxes.push({
        id: leaf.node.device_id, kind: 'client', leaf, parent: id, count: 0, open: false, w: SIZE.client.w, h: SIZE.client.h,
        x: x + column * (SIZE.client.w + SIZE.gap.y), y: y + SIZE.group.h + SIZE.gap.y + row * (SIZE.client.h + SIZE.gap.y),
      })
    })
  }

  let x = PAD
  for (const root of forest.roots) {
    place(root, null, x, PAD)
    x += widthOf(root) + SIZE.gap.x
  }
  if (forest.loose.length) {
    const width = groupWidth(forest.loose.length, isOpen(''))
    group('', forest.loose, x, PAD, width)
  }
  return measured(layout)
}

function stacked(forest: Forest, isOpen: IsOpen, room: number): Layout {
  const layout: Layout = { width: 0, height: 0, boxes: [], lines: [] }
  let y = PAD
  const put = (box: Omit<Box, 'x' | 'y' | 'w'>, depth: number): Box => {
    const x = PAD / 2 + Math.min(depth, 5) * SIZE.indent
    const full = { ...box, x, y, w: Math.max(150, room - x - PAD / 2) }
    layout.boxes.push(full)
    y += box.h + SIZE.gap.y + 4
    return full
  }
  const hook = (key: string, from: Box, to: Box, leaf: Leaf | null) => {
    const x = from.x + SIZE.indent / 2
    layout.lines.push({ key, d: `M${x} ${from.y + from.h}V${to.y + to.h / 2}H${to.x}`, leaf, label: null })
  }
  function place(branch: Branch, parent: Box | null, depth: number): void {
    const id = branch.node.device_id
    const box = put({ id, kind: 'node', leaf: branch, parent: parent?.id ?? null, h: SIZE.card.h + (branch.link ? 20 : 0), count: 0, open: false }, depth)
    if (parent) hook(id, parent, box, branch)
    if (branch.clients.length) group(id, branch.clients, box, depth + 1)
    for (const child of branch.branches) place(child, box, depth + 1)
  }
  function group(id: string, clients: Leaf[], parent: Box | null, depth: number): void {
    const open = isOpen(id)
    const box = put({ id, kind: 'group', leaf: null, parent: id, h: SIZE.group.h, count: clients.length, open }, depth)
    if (parent) hook(`group ${id}`, parent, box, null)
    if (open) for (const leaf of clients) put({ id: leaf.node.device_id, kind: 'client', leaf, parent: id, h: SIZE.client.h, count: 0, open: false }, depth)
  }
  for (const root of forest.roots) place(root, null, 0)
  if (forest.loose.length) group('', forest.loose, null, 0)
  return measured(layout)
}

/** Straight down, a bend to the side, straight down: the last stretch has room for words. */
function drop(fromX: number, fromY: number, toX: number, toY: number): string {
  const bend = fromY + SIZE.bend
  return `M${fromX} ${fromY}C${fromX} ${fromY + SIZE.bend * 0.8} ${toX} ${fromY + SIZE.bend * 0.2} ${toX} ${bend}L${toX} ${toY}`
}

function measured(layout: Layout): Layout {
  layout.width = Math.max(...layout.boxes.map((box) => box.x + box.w), 0) + PAD
  layout.height = Math.max(...layout.boxes.map((box) => box.y + box.h), 0) + PAD
  return layout
}

/** A dashed arrow from one box to another: beside each other straight across the gap, else around the outside. */
export function arrowOf(from: Box, to: Box): { d: string; x: number; y: number } {
  const sideways = from.y === to.y && Math.abs(from.x - to.x) < from.w + SIZE.gap.x * 1.5 && from.x !== to.x
  const right = to.x > from.x
  // Two arrows between the same two lie beside each other.
  const shift = right ? -9 : 9
  if (sideways) {
    const [x1, x2] = right ? [from.x + from.w, to.x] : [from.x, to.x + to.w]
    const y = from.y + from.h / 2 + shift
    return { d: `M${x1} ${y}L${x2} ${y}`, x: (x1 + x2) / 2, y: y + (right ? -11 : 11) }
  }
  if (from.x === to.x || Math.abs(from.x - to.x) < from.w * 0.6) {
    const x = Math.max(from.x + from.w, to.x + to.w)
    const out = x + SIZE.gap.x * 0.7
    const [y1, y2] = [from.y + from.h / 2, to.y + to.h / 2]
    return { d: `M${from.x + from.w} ${y1}C${out} ${y1} ${out} ${y2} ${to.x + to.w} ${y2}`, x: x + SIZE.gap.x * 0.45, y: (y1 + y2) / 2 }
  }
  const [x1, x2] = right ? [from.x + from.w, to.x] : [from.x, to.x + to.w]
  const [y1, y2] = [from.y + from.h / 2 + shift, to.y + to.h / 2 + shift]
  const lift = from.y === to.y ? SIZE.card.h : 0
  const bend = (x2 - x1) * 0.35
  return { d: `M${x1} ${y1}C${x1 + bend} ${y1 - lift} ${x2 - bend} ${y2 - lift} ${x2} ${y2}`, x: (x1 + x2) / 2, y: (y1 + y2) / 2 - lift * 0.75 }
}
