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

export const SIZE = { card: { w: 188, h: 64 }, client: { w: 240, h: 50 }, group: { h: 34 }, gap: { x: 44, y: 8 }, link: 100, stem: 46, bend: 44, indent: 26, margin: 34, edge: 8 }
const PAD = 16

/** Columns of an unfolded group: few enough to read, many enough not to become a tower. */
const columnsOf = (count: number) => (count <= 8 ? 1 : count <= 24 ? 2 : count <= 60 ? 3 : 4)
const groupWidth = (count: number, open: boolean) => (open ? columnsOf(count) : 1) * (SIZE.client.w + SIZE.gap.y) - SIZE.gap.y

type IsOpen = (id: string) => boolean

/** Below this width everything stands one below the other. */
export const NARROW = 560

/** `room`: how wide the picture may be; `roads`: whether arrows need a margin where it is narrow. */
export function layoutOf(forest: Forest, isOpen: IsOpen, room: number, roads = true): Layout {
  return room < NARROW ? stacked(forest, isOpen, room, roads ? SIZE.margin : SIZE.edge) : tiered(forest, isOpen)
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
    // Between a device and its clients stands no word: where nothing else hangs there, they come closer.
    const top = bottom + (branch.branches.length ? SIZE.link : SIZE.stem)
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
    const floor = Math.max(0, ...layout.boxes.map((box) => box.y + box.h))
    group('', forest.loose, PAD, floor ? floor + SIZE.gap.x : PAD, groupWidth(forest.loose.length, isOpen('')))
  }
  return measured(layout)
}

function stacked(forest: Forest, isOpen: IsOpen, room: number, margin: number): Layout {
  const layout: Layout = { width: 0, height: 0, boxes: [], lines: [] }
  let y = PAD
  const put = (box: Omit<Box, 'x' | 'y' | 'w'>, depth: number): Box => {
    const x = SIZE.edge + Math.min(depth, 5) * SIZE.indent
    const full = { ...box, x, y, w: Math.max(150, room - x - margin) }
    layout.boxes.push(full)
    y += box.h + SIZE.gap.y + 4
    return full
  }
  // Many lines share one trunk here: what a link is like stands at the edge of its box instead.
  const hook = (key: string, from: Box, to: Box) => {
    const x = from.x + SIZE.indent / 2
    layout.lines.push({ key, d: `M${x} ${from.y + from.h}V${to.y + to.h / 2}H${to.x}`, leaf: null, label: null })
  }
  function place(branch: Branch, parent: Box | null, depth: number): void {
    const id = branch.node.device_id
    const box = put({ id, kind: 'node', leaf: branch, parent: parent?.id ?? null, h: SIZE.card.h + (branch.link ? 20 : 0), count: 0, open: false }, depth)
    if (parent) hook(id, parent, box)
    if (branch.clients.length) group(id, branch.clients, box, depth + 1)
    for (const child of branch.branches) place(child, box, depth + 1)
  }
  function group(id: string, clients: Leaf[], parent: Box | null, depth: number): void {
    const open = isOpen(id)
    const box = put({ id, kind: 'group', leaf: null, parent: id, h: SIZE.group.h, count: clients.length, open }, depth)
    if (parent) hook(`group ${id}`, parent, box)
    if (open) for (const leaf of clients) put({ id: leaf.node.device_id, kind: 'client', leaf, parent: id, h: SIZE.client.h, count: 0, open: false }, depth)
  }
  for (const root of forest.roots) place(root, null, 0)
  if (forest.loose.length) group('', forest.loose, null, 0)
  return measured(layout, margin)
}

/** Straight down, a bend to the side, straight down: the last stretch has room for words. */
function drop(fromX: number, fromY: number, toX: number, toY: number): string {
  const bend = fromY + SIZE.bend
  return `M${fromX} ${fromY}C${fromX} ${fromY + SIZE.bend * 0.8} ${toX} ${fromY + SIZE.bend * 0.2} ${toX} ${bend}L${toX} ${toY}`
}

function measured(layout: Layout, margin = PAD): Layout {
  layout.width = Math.max(...layout.boxes.map((box) => box.x + box.w), 0) + margin
  layout.height = Math.max(...layout.boxes.map((box) => box.y + box.h), 0) + PAD
  return layout
}

/** A dashed arrow from one box to another, clear of the words on the links; the way back lies beside it. */
export function arrowOf(from: Box, to: Box, nth = 0): { d: string; x: number; y: number } {
  const middle = (box: Box) => box.x + box.w / 2
  if (from.x + from.w === to.x + to.w) {
    // One below the other: around the right.
    const [x, y1, y2] = [from.x + from.w, from.y + from.h / 2 + 6, to.y + to.h / 2 - 6]
    const out = x + SIZE.margin * (0.7 + 0.2 * (nth % 3))
    return { d: `M${x} ${y1}C${out} ${y1} ${out} ${y2} ${x} ${y2}`, x: x + SIZE.margin * 0.5, y: (y1 + y2) / 2 }
  }
  if (from.y === to.y) {
    const right = to.x > from.x
    const gap = right ? to.x - from.x - from.w : from.x - to.x - to.w
    if (gap <= SIZE.gap.x * 1.5) {
      const y = from.y + from.h / 2 + (right ? -9 : 9)
      const [x1, x2] = right ? [from.x + from.w, to.x] : [from.x, to.x + to.w]
      return { d: `M${x1} ${y}L${x2} ${y}`, x: (x1 + x2) / 2, y: y + (right ? -11 : 11) }
    }
    // Over what stands between them, or under it.
    const [edge, lift] = right ? [0, -SIZE.card.h * 0.8] : [from.h, SIZE.card.h * 0.8]
    const [x1, x2, y] = [middle(from) + (right ? 70 : -70), middle(to) + (right ? -70 : 70), from.y + edge]
    return { d: `M${x1} ${y}C${x1} ${y + lift} ${x2} ${y + lift} ${x2} ${y}`, x: (x1 + x2) / 2, y: y + lift * 0.75 }
  }
  const up = to.y < from.y
  const side = (up ? 1 : -1) * (SIZE.card.w / 2 - 7)
  const [x1, y1] = [middle(from) + side, up ? from.y : from.y + from.h]
  const [x2, y2] = [middle(to) + side, up ? to.y + to.h : to.y]
  const bend = (y2 - y1) * 0.45
  return { d: `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`, x: (x1 + x2) / 2, y: (y1 + y2) / 2 }
}
