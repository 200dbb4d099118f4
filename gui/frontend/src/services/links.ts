// The links between devices, read from what they report of themselves.
import type { Device } from '@/types/api'

export interface Link {
  from: string
  to: string
  medium?: string
  quality?: string
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}

const UPLINK = ['uplink', 'parent', 'upstream', 'backhaul', 'uplink_device_id', 'parent_device_id']

/** A device's way up: `uplink` as an id, or as an object with an id, a medium and a quality. */
export function uplinkOf(device: Device): Link | null {
  for (const source of [objectOf(device.state), objectOf(device.attr)]) {
    for (const field of UPLINK) {
      const value = source[field]
      if (typeof value === 'string' && value) return { from: device.device_id, to: value }
      const inner = objectOf(value)
      const to = inner.device_id ?? inner.to ?? inner.id
      if (typeof to !== 'string' || !to) continue
      const quality = inner.rssi_dbm ?? inner.rssi ?? inner.rate_mbps
      const unit = inner.rssi_dbm !== undefined || inner.rssi !== undefined ? 'dBm' : 'Mbps'
      const medium = inner.medium ?? inner.kind ?? inner.type
      return { from: device.device_id, to, medium: typeof medium === 'string' ? medium : undefined, quality: typeof quality === 'number' ? `${quality} ${unit}` : undefined }
    }
  }
  return null
}

export type NetworkRole = 'gateway' | 'access' | 'other'

/** Where a device stands in the network. */
export function networkRole(device: Device): NetworkRole {
  const type = device.device_type ?? ''
  if (/router|gateway|modem/.test(type)) return 'gateway'
  if (/access_point|^ap$|mesh|extender|switch|bridge/.test(type)) return 'access'
  return 'other'
}
