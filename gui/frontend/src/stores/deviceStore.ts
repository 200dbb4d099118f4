// The devices, and what the catalogue says of their tools.
import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { get, type Problem } from '@/services/api'
import { onEvent } from '@/services/events'
import { everyPage } from '@/services/paging'
import type { CauseEntry, Device, Page, Tool } from '@/types/api'

export const deviceKey = (device: Pick<Device, 'tenant' | 'site' | 'device_id'>) => `${device.tenant}/${device.site}/${device.device_id}`

export const useDeviceStore = defineStore('devices', () => {
  const byKey = ref(new Map<string, Device>())
  const loaded = ref(false)
  const problem = shallowRef<Problem | null>(null)
  const tools = shallowRef(new Map<string, Tool>())
  const causes = shallowRef(new Map<string, CauseEntry>())
  let listening = false
  let catalogue: Promise<void> | null = null

  const devices = computed(() =>
    [...byKey.value.values()].sort((a, b) => Number(b.online) - Number(a.online) || nameOf(a).localeCompare(nameOf(b))),
  )

  function nameOf(device: Device): string {
    return device.name || device.device_id
  }

  function listen(): void {
    if (listening) return
    listening = true
    onEvent<Device>('device', (device) => {
      if (!device?.device_id || !device.tenant || !device.site) return
      const key = deviceKey(device)
      byKey.value.set(key, { ...byKey.value.get(key), ...device })
    })
  }

  async function load(): Promise<void> {
    listen()
    try {
      const items = await everyPage<Device>('/devices')
      byKey.value = new Map(items.map((device) => [deviceKey(device), device]))
      problem.value = null
      loaded.value = true
    } catch (error) {
      problem.value = error as Problem
    }
  }

  /** Titles and schemas of the tools, causes' names; asked for once. */
  function loadCatalogue(): Promise<void> {
    catalogue ??= Promise.all([get<Page<Tool>>('/tools'), get<Page<CauseEntry>>('/causes')])
      .then(([toolPage, causePage]) => {
        tools.value = new Map(toolPage.items.map((tool) => [tool.op, tool]))
        causes.value = new Map(causePage.items.map((cause) => [cause.cause, cause]))
      })
      .catch(() => {
        catalogue = null
      })
    return catalogue
  }

  return { devices, byKey, loaded, problem, tools, causes, load, loadCatalogue, nameOf }
})
