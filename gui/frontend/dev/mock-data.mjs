// What the invented server of dev/mock.mjs knows: devices, tools, causes.
const now = Date.now()

export const PLACE = { tenant: 'home', site: 'living' }

const tools = (ops, reasons = {}) =>
  Object.fromEntries(ops.map((op) => [op, { supported: !(op in reasons), version: '1.0', ...(op in reasons ? { reason: reasons[op] } : {}), ...(op === 'network.speedtest_full' ? { limitations: { max_duration: 60, concurrent_limit: 1 } } : {}) }]))

function device(device_id, name, device_type, model, ops, more = {}, reasons = {}) {
  return {
    ...PLACE, device_id, name, device_type, model, online: true, health: 'ok', last_seen_ms: now - 4_000, capabilities: ops, clients: null, ...more,
    attr: { name, device_type, manufacturer: 'Practice', model, firmware_version: '2.4.1', mac_address: device_id, capabilities: { tools: tools(ops, reasons) } },
    state: { health: more.health ?? 'ok', uptime_s: 187_322, cpu_usage: 23.4, memory_usage: 41, temperature_c: 51.5, uplink: more.uplink },
    diagnostics: { messages: 1_204, malformed: 0, late_results: 1 },
  }
}

const RADIO = ['wifi.get_environment', 'clients.list', 'wifi.set_channel', 'wifi.set_power', 'system.get_logs', 'mesh.backhaul_test']

export const devices = [
  device('aabbccddee01', 'router', 'router', 'TW-R1', ['network.speedtest_full', 'clients.list', 'diagnostics.wan_connectivity', 'traffic.get_top_talkers', 'qos.apply_policy', 'system.get_logs'], { clients: 11 }),
  device('aabbccddee02', 'ap-living', 'access_point', 'TW-A2', RADIO, { clients: 7, health: 'warning', uplink: 'aabbccddee01' }),
  device('aabbccddee03', 'ap-bedroom', 'mesh_node', 'TW-M1', RADIO, { clients: 4, uplink: 'aabbccddee02' }, { 'mesh.backhaul_test': 'high_cpu_load' }),
  device('sensor-hall', '<img src=x onerror=alert(1)>', 'iot_sensor', 'TH-1', ['device.get_capabilities'], { online: false, health: 'unknown', last_seen_ms: now - 3 * 3_600_000 }),
]

const tool = (op, cls, en, tw, cn, typical_ms, properties = {}, required = []) => ({
  op, class: cls, permission: { read: 'read', test: 'test', act: 'config', manage: 'config' }[cls], risk: cls === 'act' ? 'medium' : 'low',
  title: { en, 'zh-TW': tw, 'zh-CN': cn }, typical_ms, timeout_ms: typical_ms * 3, args_schema: { type: 'object', properties, required },
})

export const catalogue = [
  tool('network.speedtest_full', 'test', 'Speed test', '速度測試', '速度测试', 31_000, {
    direction: { type: 'string', enum: ['both', 'download', 'upload'], default: 'both', description: 'Which way to measure' },
    duration: { type: 'integer', minimum: 5, maximum: 60, default: 30, description: 'Seconds' },
    server: { type: 'string', default: 'auto' },
  }),
  tool('clients.list', 'read', 'Connected clients', '連線的裝置', '已连终端', 900),
  tool('wifi.get_environment', 'read', 'Scan of the WiFi around', '掃描附近的 WiFi', '扫描附近的 WiFi', 4_000, { include_hidden: { type: 'boolean', default: true }, scan_duration: { type: 'integer', default: 5000, description: 'ms' } }),
  tool('traffic.get_top_talkers', 'read', 'Who uses the traffic', '誰在用流量', '谁在用流量', 1_500),
  tool('diagnostics.wan_connectivity', 'test', 'Line to the internet', '對外線路', '外网线路', 6_000),
  tool('mesh.backhaul_test', 'test', 'Backhaul test', 'Mesh 回程測試', 'Mesh 回程测试', 18_000),
  tool('system.get_logs', 'read', 'System log', '系統日誌', '系统日志', 1_200, { lines: { type: 'integer', default: 100, minimum: 1, maximum: 1000 } }),
  tool('wifi.set_channel', 'act', 'Change the WiFi channel', '更換 WiFi 頻道', '更换 WiFi 信道', 6_000, { interface: { type: 'string' }, channel: { type: 'integer' } }, ['interface', 'channel']),
  tool('wifi.set_power', 'act', 'Change the WiFi power', '調整 WiFi 功率', '调整 WiFi 功率', 6_000),
  tool('qos.apply_policy', 'act', 'Apply a traffic policy', '套用流量規則', '应用流量策略', 4_000),
]

export const causes = [
  { cause: 'wifi_cochannel_busy', flow: 'slow_speed', severity: 'warning', title: { en: 'The WiFi channel is crowded', 'zh-TW': 'WiFi 頻道太擠', 'zh-CN': 'WiFi 信道太挤' } },
  { cause: 'bandwidth_hog', flow: 'slow_speed', severity: 'warning', title: { en: 'One device uses the line', 'zh-TW': '有一台裝置佔用頻寬', 'zh-CN': '有一台设备占用带宽' } },
]

export const events = [
  { event_type: 'wifi.channel_busy', severity: 'warning', data: { channel: 6, busy_pct: 81 }, ts_ms: now - 240_000, received_ms: now - 240_000 },
  { event_type: 'wifi.client_associated', severity: 'info', data: { client: 'a4:5e:60:11:22:33', hostname: 'phone-mei' }, ts_ms: now - 1_900_000, received_ms: now - 1_900_000 },
]

/** The network of the invented home, with so many clients. */
export function network(clients) {
  const [router, living, bedroom] = devices.map((one) => one.device_id)
  const own = devices.map(({ device_id, name, device_type, online, health }) => ({ device_id, known: true, name, device_type, online, health, role: { router: 'gateway', iot_sensor: 'client' }[device_type] ?? 'access_point', sources: [router] }))
  const kinds = ['phone', 'laptop', 'tv', 'tablet', 'speaker']
  const people = Array.from({ length: clients }, (_, n) => ({ device_id: `0200000a${String(n).padStart(4, '0')}`, known: false, name: n === 3 ? '<img src=x onerror=alert(3)>' : `${kinds[n % 5]}-${n}`, device_type: kinds[n % 5], role: 'client', room: 'living', online: true, sources: [router, living] }))
  const airs = people.map(({ device_id }, n) => ({ from: [living, living, bedroom, router][n % 4], to: device_id, kind: n % 4 === 3 ? 'ethernet' : 'wifi', band: n % 4 === 3 ? null : ['5GHz', '2.4GHz'][n % 2], rate_mbps: n % 4 === 3 ? 1000 : 72 + ((n * 37) % 800), rssi_dbm: n % 4 === 3 ? null : -50 - ((n * 7) % 36), quality: n % 4 === 3 ? 1 : Math.max(0, 1 - ((n * 7) % 36) / 40), sources: [router] }))
  const changes = [
    { at_ms: now - 300_000, what: 'moved', device_id: people[0]?.device_id, from: bedroom, to: living, event_type: 'wifi.roam_triggered', source: living },
    { at_ms: now - 900_000, what: 'joined', device_id: people[1]?.device_id, name: people[1]?.name, to: living, source: router },
    { at_ms: now - 2_000_000, what: 'event', device_id: router, event_type: 'network.link_change', severity: 'warning', source: router },
    { at_ms: now - 40_000_000, what: 'left', device_id: people[2]?.device_id, name: people[2]?.name, from: bedroom, source: router },
  ].filter((change) => change.device_id)
  return {
    ...PLACE, nodes: [...own, ...people], changes, cut: false,
    links: [{ from: router, to: living, kind: 'ethernet', rate_mbps: 1000, quality: 1, sources: [router] }, { from: living, to: bedroom, kind: 'wifi', band: '5GHz', rate_mbps: 433, rssi_dbm: -71, quality: 0.48, sources: [router, bedroom] }, ...airs],
  }
}
