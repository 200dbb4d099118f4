// An invented server for developing the console without the real one: HTTP on 5000 (serves dist too), MQTT over WebSocket on 8885.
// Any complaint plays a whole diagnosis with a change. MOCK_HISTORY=n: so many messages at start; MOCK_EMPTY=1: no devices; MOCK_CLIENTS=n; MOCK_SPEED: factor.
// GET /mock/outage?ms=… cuts the broker; text "ask" asks back; "gain no" lets the change fail to help.
import { createHash, randomUUID } from 'node:crypto'
import { createReadStream, existsSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { miniBroker } from './mini-broker.mjs'
import { catalogue, causes, devices, events, network, PLACE } from './mock-data.mjs'

const HTTP = Number(process.env.MOCK_HTTP ?? 5000)
const WS = Number(process.env.MOCK_WS ?? 8885)
const SPEED = Number(process.env.MOCK_SPEED ?? 1)
const DIST = new URL('../dist/', import.meta.url).pathname
const started = Date.now()
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms / SPEED))
const sha = (value) => createHash('sha256').update(JSON.stringify(value)).digest('hex')

const messages = []
const sessions = new Map()
const changes = new Map()
const commands = []
const audit = []
const chunks = new Map()
const streams = new Set()
let seq = 0
let change = 0
const known = process.env.MOCK_EMPTY ? [] : devices

const broker = miniBroker(WS, heard)
for (const name of ['client', 'ai-core', 'system']) broker.publish(`connection/${name}`, { status: 'connected', since: started, count: 1 }, true)

function emit(event, data) {
  for (const stream of streams) stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
}

function note(actor, action, subject, detail = {}) {
  const prev_hash = audit.at(-1)?.hash ?? '0'.repeat(64)
  const row = { n: audit.length + 1, ts_ms: Date.now(), tenant: PLACE.tenant, actor, action, subject, detail, prev_hash }
  audit.push({ ...row, hash: sha(row) })
}

function say(message) {
  const full = { id: randomUUID(), session_id: 'main', role: 'assistant', username: 'Talkwire', text: '', parts: [], ts: Date.now(), seq: ++seq, rev: 0, change: ++change, ...message }
  messages.push(full)
  broker.publish('chat/receive', full)
  return full
}

function renew(message) {
  message.rev++
  message.change = ++change
  broker.publish('chat/receive', message)
}

function history(count) {
  for (let i = 0; i < count; i++) {
    const role = ['user', 'assistant', 'guest', 'device', 'system'][i % 9 === 0 ? 0 : i % 5]
    messages.push({ id: randomUUID(), session_id: 'main', role, username: { user: 'alice', assistant: 'Talkwire', guest: 'guest-7', device: 'ap-living', system: 'Talkwire' }[role], text: `${i + 1}. ${'晚上的網路比白天慢一點，重新開機以後好一些。'.repeat((i * 7) % 4)} ok`, parts: [], ts: started - (count - i) * 60_000, seq: ++seq, rev: 0, change: ++change })
  }
}
history(Number(process.env.MOCK_HISTORY ?? 0))

function heard(topic, body, clientId) {
  const answer = (tail, payload) => broker.publish(`chat/client/${clientId}/${tail}`, payload)
  if (topic === 'chat/session/list') {
    let list = body.after !== undefined ? messages.filter((one) => one.change > body.after).sort((a, b) => a.change - b.change).slice(0, body.limit) : messages
    if (body.before !== undefined) list = messages.filter((one) => one.seq < body.before).slice(-body.limit)
    answer('session/listed', { request_id: body.request_id, messages: list, more: list.length > 0 && list[0].seq > 1 })
  }
  if (topic !== 'chat/send') return
  let { text } = body
  if (body.chunk) {
    const pieces = chunks.get(body.id) ?? []
    pieces[body.chunk.index] = text
    chunks.set(body.id, pieces)
    if (pieces.filter((piece) => piece !== undefined).length < body.chunk.count) return
    text = pieces.join('')
    if (createHash('sha256').update(text).digest('hex') !== body.chunk.sha256) return answer('error', { id: body.id, code: 'E_CHAT_CHUNK', message: 'the pieces do not make the whole' })
  }
  if (messages.some((one) => one.id === body.id)) return
  answer('status', { id: body.id, status: 'sent' })
  say({ id: body.id, role: 'user', username: 'alice', text })
  answer('status', { id: body.id, status: 'processing' })
  if (/^ask/.test(text)) say({ text: 'Which devices are slow?', in_reply_to: body.id, parts: [{ kind: 'choices', options: ['All of them', 'Only my phone', 'Only in one room'] }] })
  else void diagnose(text, body.id)
}

const PLAN = [
  ['network.speedtest_full', 0, '速度測試（路由器）', 2400, '18 ↓ 9 ↑ Mbps', { download_mbps: 18.2, upload_mbps: 9.1 }],
  ['clients.list', 0, '連線的裝置', 500, '11 台', { clients: [{ mac: 'a4:5e:60:11:22:33', hostname: '<img src=x onerror=alert(2)>', rssi: -61 }] }],
  ['wifi.get_environment', 1, '掃描附近的 WiFi', 2600, '頻道 6：81 % 忙', { channels: [{ channel: 6, busy_pct: 81 }, { channel: 1, busy_pct: 22 }] }],
  ['traffic.get_top_talkers', 0, '誰在用流量', 700, '沒有特別高', { top: [] }],
]

async function diagnose(text, askedBy) {
  const session_id = `diag-${randomUUID().slice(0, 8)}`
  const steps = PLAN.map(([tool, device, title], index) => ({ trace_id: `${tool}-${index + 1}`, tool, title, device_id: devices[device].device_id, device_name: devices[device].name, status: 'waiting' }))
  const session = { session: { session_id, created_at: Date.now(), user_request: text, status: 'active', steps: steps.map((step) => ({ ...step, step_description: step.title, args: {} })) }, intent: { intent: 'slow_speed', confidence: 0.92, language: 'zh-TW' }, verdict: null, ...PLACE }
  sessions.set(session_id, session)
  note('alice', 'session.create', session_id, { text })
  const message = say({ in_reply_to: askedBy, text: '我先看看線路、頻道和各台裝置。', parts: [{ kind: 'understanding', intent: 'slow_speed', confidence: 0.92 }, { kind: 'steps', diagnosis_id: session_id, steps }] })
  const run = async (index) => {
    const [, , , ms, summary, result] = PLAN[index]
    const raw = session.session.steps[index]
    if (session.session.status !== 'active') return
    Object.assign(steps[index], { status: 'running', started_at: Date.now(), progress: 0 })
    Object.assign(raw, { status: 'running', started_at: Date.now() })
    for (let part = 1; part <= 5; part++) {
      renew(message)
      await wait(ms / 5)
      steps[index].progress = part * 20
      if (session.session.status !== 'active') return Object.assign(steps[index], { status: 'skipped' })
    }
    Object.assign(steps[index], { status: 'completed', completed_at: Date.now(), summary, progress: undefined })
    Object.assign(raw, { status: 'completed', completed_at: Date.now(), result })
    renew(message)
    emit('session', session)
  }
  await Promise.all([run(0), run(1)])
  await run(2)
  await run(3)
  if (session.session.status !== 'active') {
    steps.forEach((step) => step.status === 'waiting' && (step.status = 'skipped'))
    message.text += ' 已停止。'
    return renew(message)
  }
  const evidence = [
    { name: 'env.util_ext', text: '頻道 6：81 % 忙碌', value: 81, trace_id: steps[2].trace_id, device_id: devices[1].device_id },
    { name: 'env.util_best', text: '頻道 1：22 % 忙碌', value: 22, trace_id: steps[2].trace_id, device_id: devices[1].device_id },
    { name: 'wan.down_ratio', text: '線路正常：量到 96，方案 100 Mbps', value: 0.96, trace_id: steps[0].trace_id, device_id: devices[0].device_id },
  ]
  const rivals = [{ cause: 'bandwidth_hog', text: '有一台裝置佔用頻寬', confidence: 0.08 }, { cause: 'isp_evening_congestion', text: '電信業者晚上壅塞', confidence: 0.05 }]
  const words = '晚上八點到十一點，鄰居有 6 台基地台和你擠在同一個頻道（6），空中時間用掉 81 %。'
  Object.assign(session.session, { status: 'completed' })
  session.verdict = { kind: 'fault', cause: 'wifi_cochannel_busy', device_id: devices[1].device_id, confidence: 0.87, evidence, text: words, rivals }
  const card = propose(session)
  session.changeset_id = card.changeset_id
  message.text = '找到原因了，也有一個可以復原的改法。'
  message.parts.push({ kind: 'cause', verdict: 'fault', cause: 'wifi_cochannel_busy', text: words, confidence: 0.87, evidence, rivals })
  message.parts.push({ kind: 'chart', title: '各頻道忙碌程度', unit: '%', points: [[1, 22], [6, 81], [11, 47]].map(([label, value]) => ({ label: String(label), value, marked: label === 6 })) })
  message.parts.push({ kind: 'changeset', ...card })
  const live = { message, part: message.parts.at(-1) }
  changes.get(card.changeset_id).live = live
  renew(message)
  emit('session', session)
}

function propose(session) {
  const changeset_id = `cs-${randomUUID().slice(0, 8)}`
  const view = { changeset_id, status: 'proposed', plan_hash: sha(changeset_id), operations: [{ device_id: devices[1].device_id, device_name: 'ap-living', op: 'wifi.set_channel', label: '2.4 GHz 頻道', before: '6', after: '1', undoes_itself: true }], expect: '預期：18 → 60 Mbps 以上。', impact: '這台基地台大約 30 秒沒有 WiFi。', undo: '沒有人確認，或連線中斷，5:00 之後會自己復原。', risk: 'medium', needs_admin: false, deadline_ms: Date.now() + 300_000, before: '18 Mbps', has_receipt: false }
  const row = { changeset_id, status: 'proposed', plan_hash: view.plan_hash, ...PLACE, session_id: session.session.session_id, title: 'ap-living：2.4 GHz 頻道 6 → 1', reason: session.verdict.text, risk: 'medium', needs_admin: false, operations: [{ device_id: devices[1].device_id, device_name: 'ap-living', op: 'wifi.set_channel', args: { interface: 'wlan0', channel: 1 }, previous: { interface: 'wlan0', channel: 6, width_mhz: 20 }, previous_hash: sha(6), undoes_itself: true, state: 'proposed' }], created_ms: Date.now(), approve_before_ms: view.deadline_ms, deadline_ms: view.deadline_ms, proposed_by: 'assistant', expect: { metric: 'download', unit: 'Mbps', direction: 'up', min_gain: 10, text: view.expect }, before: { metric: 'download', value: 18, unit: 'Mbps' }, history: [{ state: 'proposed', at_ms: Date.now(), why: 'wifi_cochannel_busy' }], view }
  changes.set(changeset_id, { row, noGain: /gain no/.test(session.session.user_request) })
  return view
}

function step(entry, status, more = {}, view = {}) {
  const { row, live } = entry
  Object.assign(row, { status }, more)
  row.history.push({ state: status, at_ms: Date.now() })
  Object.assign(row.view, { status }, view)
  row.operations[0].state = status
  if (live) {
    Object.assign(live.part, row.view)
    renew(live.message)
  }
  note(row.approved_by ?? 'assistant', `changeset.${status}`, row.changeset_id)
  emit('changeset', row)
}

async function carryOut(entry) {
  step(entry, 'approved', { approved_by: 'alice', approved_ms: Date.now() }, { deadline_ms: undefined })
  await wait(500)
  step(entry, 'preparing')
  await wait(700)
  const deadline_ms = Date.now() + 300_000
  Object.assign(entry.row.operations[0], { applied: { interface: 'wlan0', channel: 1, width_mhz: 20 }, applied_hash: sha(1) })
  step(entry, 'applied', { deadline_ms }, { deadline_ms })
  await wait(1500)
  if (entry.row.status !== 'applied') return
  step(entry, 'verifying')
  await wait(2500)
  if (entry.row.status !== 'verifying') return
  const kept = !entry.noGain
  const text = kept ? '保留：18 → 74 Mbps' : '已復原：沒有改善（18 → 19 Mbps）'
  entry.row.receipt = { changeset_id: entry.row.changeset_id, request: 'WiFi', approved_by: 'alice', before: 18, after: kept ? 74 : 19, signature: sha(text) }
  step(entry, kept ? 'committed' : 'rolled_back', { after: { metric: 'download', value: kept ? 74 : 19, unit: 'Mbps' }, outcome: { kind: kept ? 'kept' : 'undone', text } }, { after: kept ? '74 Mbps' : '19 Mbps', outcome: text, has_receipt: true, deadline_ms: undefined })
}

class Refusal extends Error {
  constructor(status, code, detail) {
    super(detail)
    Object.assign(this, { status, code })
  }
}

function page(items) {
  return { items, next: null }
}

const findDevice = (parts) => known.find((one) => one.device_id === parts[2]) ?? refuse(404, 'E_NOT_FOUND', 'no such device')
function refuse(status, code, detail) {
  throw new Refusal(status, code, detail)
}

function decide(id, verb, body) {
  const entry = changes.get(id) ?? refuse(404, 'E_NOT_FOUND', 'no such change set')
  const { row } = entry
  if (verb === 'approve') {
    if (row.status !== 'proposed') refuse(409, 'E_CHANGESET_STATE', 'the change set is not proposed any more')
    if (body.plan_hash !== row.plan_hash) refuse(409, 'E_PLAN_HASH_MISMATCH', 'the plan has changed')
    void carryOut(entry)
  } else if (verb === 'reject') step(entry, 'rejected', {}, { deadline_ms: undefined })
  else {
    row.receipt ??= { changeset_id: id, undone: true, signature: sha(id) }
    step(entry, 'rolled_back', { outcome: { kind: 'undone', text: '已依你的要求復原。' } }, { outcome: '已依你的要求復原。', deadline_ms: undefined, has_receipt: true })
  }
  return row
}

function telemetry(metric, from, to, points) {
  const step_ms = Math.floor((to - from) / points) + 1
  const steps = Array.from({ length: points }, (_, i) => ({ ts_ms: to - i * step_ms, value: 30 + 14 * Math.sin(i / 6) + (i % 5) })).filter((_, i) => i < 60 || i > 75)
  return { ...page(steps.map((step) => ({ ...step, min: step.value - 3, max: step.value + 4, count: 5, unit: metric === 'cpu_usage' ? '%' : 'celsius' }))), step_ms }
}

function api(method, path, query, body) {
  const [noun, ...parts] = path.split('/').map(decodeURIComponent)
  const flat = ({ session, ...rest }) => ({ ...rest, ...session, steps: undefined })
  switch (`${method} ${noun}`) {
    case 'POST session':
      return { principal: { name: 'alice', role: 'admin' }, mqtt: { username: 'console', password: 'x' }, ws_port: WS, version: '0.1.0' }
    case 'GET devices':
      if (parts.length === 0) return page(known.map(({ attr: _a, state: _s, diagnostics: _d, ...row }) => row))
      if (parts.length === 3) return findDevice(parts)
      if (parts[3] === 'events') return page(events)
      if (parts[3] === 'commands') return page(commands.filter((one) => one.device_id === parts[2]).toReversed())
      if (parts.length === 4) return page(['cpu_usage', 'temperature_c'])
      return telemetry(parts[4], Number(query.get('from_ms')), Number(query.get('to_ms')), Number(query.get('points')))
    case 'GET network':
      return { ...page(known.length ? [network(Number(process.env.MOCK_CLIENTS ?? 11))] : []), from_ms: Date.now() - Number(query.get('hours')) * 3_600_000, to_ms: Date.now() }
    case 'GET tools':
      return page(catalogue)
    case 'GET causes':
      return page(causes)
    case 'POST commands': {
      const command = { id: randomUUID(), ...body, status: 'completed', result: PLAN.find(([op]) => op === body.op)?.[5] ?? { ok: true }, timings: { created_ms: Date.now() - 900, ended_ms: Date.now() }, attempts: 1 }
      commands.push(command)
      return command
    }
    case 'GET sessions':
      return parts.length ? (sessions.get(parts[0]) ?? refuse(404, 'E_NOT_FOUND', 'no such session')) : page([...sessions.values()].map(flat).toReversed())
    case 'POST sessions':
      sessions.get(parts[0]).session.status = 'cancelled'
      return sessions.get(parts[0])
    case 'GET changesets':
      return parts.length ? (changes.get(parts[0])?.row ?? refuse(404, 'E_NOT_FOUND', 'no such change set')) : page([...changes.values()].map((entry) => entry.row).toReversed())
    case 'POST changesets':
      return decide(parts[0], parts[1], body)
    case 'GET receipts':
      return changes.get(parts[0])?.row.receipt ?? refuse(404, 'E_NOT_FOUND', 'no receipt yet')
    case 'POST receipts':
      return { valid: Boolean(body.signature), reason: body.signature ? null : 'the signature is missing' }
    case 'GET audit':
      return { ...page(audit.toReversed()), chain: { ok: true, checked: audit.length } }
    case 'GET system':
      return { version: '0.1.0', started_ms: started, now_ms: Date.now(), listeners: [['http', 5000], ['mqtt', 1883], ['mqtt', 8884], ['ws', WS]].map(([kind, port]) => ({ kind, address: `127.0.0.1:${port}` })), clients: 5, devices: { total: known.length, online: known.filter((one) => one.online).length }, rates: { messages_per_s: 3.4 }, store: { bytes: 2_430_000, engine: 'sqlite' }, assistant: { mode: 'rules' }, quarantine: 1, degraded: false }
    case 'GET quarantine':
      return page([{ topic: 'rtk/v1/home/living/aabbccddee02/state', reason: 'field `health` must be text, not a number', payload: '{"health": 3, "note": "<script>alert(1)</script>"}', count: 2, first_ms: started, last_ms: started + 1000 }])
    default:
      return refuse(404, 'E_NOT_FOUND', `no ${method} /${path}`)
  }
}

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' }
const POLICY = `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self' ws://127.0.0.1:${WS} ws://localhost:${WS}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`

function file(path, response) {
  const wanted = join(DIST, normalize(path))
  const found = wanted.startsWith(DIST) && existsSync(wanted) && statSync(wanted).isFile() ? wanted : join(DIST, 'index.html')
  response.writeHead(200, { 'Content-Type': TYPES[extname(found)] ?? 'application/octet-stream', 'Content-Security-Policy': POLICY, 'X-Content-Type-Options': 'nosniff' })
  createReadStream(found).pipe(response)
}

createServer(async (request, response) => {
  const url = new URL(request.url, 'http://mock')
  if (url.pathname === '/mock/outage') {
    broker.outage(Number(url.searchParams.get('ms') ?? 5_000))
    return response.end()
  }
  if (url.pathname === '/api/v1/events') {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
    response.write(': hello\n\n')
    streams.add(response)
    return request.on('close', () => streams.delete(response))
  }
  if (!url.pathname.startsWith('/api/v1/')) return file(url.pathname, response)
  let text = ''
  for await (const chunk of request) text += chunk
  try {
    const answer = api(request.method, url.pathname.slice('/api/v1/'.length), url.searchParams, text ? JSON.parse(text) : {})
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify(answer))
  } catch (error) {
    const status = error.status ?? 500
    response.writeHead(status, { 'Content-Type': 'application/problem+json' })
    response.end(JSON.stringify({ type: 'about:blank', title: 'refused', status, code: error.code ?? 'E_INTERNAL', detail: error.message }))
  }
}).listen(HTTP, '127.0.0.1', () => console.log(`http://127.0.0.1:${HTTP}`))
