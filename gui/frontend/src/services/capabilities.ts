// What a device says of its tools, in the shapes that devices use.
import type { Device } from '@/types/api'

export interface ToolSupport {
  op: string
  supported: boolean
  version?: string
  reason?: string
  limits?: string
}

function objectOf(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null
}

function declared(device: Device): Record<string, unknown> | null {
  const attr = objectOf(device.attr)
  const known = objectOf(device.tools)
  if (known && Object.keys(known).length > 0) return known
  return objectOf(attr?.tools) ?? objectOf(objectOf(attr?.capabilities)?.tools) ?? objectOf(objectOf(objectOf(attr?.payload)?.capabilities)?.tools)
}

const text = (value: unknown) => (typeof value === 'string' && value ? value : undefined)

/** The tools of a device, those that are available first. */
export function supportOf(device: Device): ToolSupport[] {
  const tools = declared(device)
  const able = new Set(device.capabilities ?? [])
  const ops = new Set([...able, ...Object.keys(tools ?? {})])
  return [...ops]
    .map((op) => {
      const said = objectOf(tools?.[op])
      const limits = objectOf(said?.limitations)
      return {
        op,
        supported: said?.supported !== false && said?.available !== false && tools?.[op] !== false,
        version: text(said?.version),
        reason: text(said?.reason),
        limits: limits && Object.keys(limits).length > 0 ? Object.entries(limits).map(([name, value]) => `${name.replaceAll('_', ' ')} ${String(value)}`).join(', ') : undefined,
      }
    })
    .sort((a, b) => Number(b.supported) - Number(a.supported) || a.op.localeCompare(b.op))
}
