// Shapes of the HTTP interface under /api/v1.
import type { ChangesetView, EvidenceView, RivalView } from './chat'

export interface Page<T> {
  items: T[]
  next?: string | number | null
}

export interface LocalSession {
  principal: { name: string; role: string }
  mqtt: { username: string; password: string }
  ws_port: number
  version: string
}

export interface Device {
  tenant: string
  site: string
  device_id: string
  name?: string | null
  device_type?: string | null
  model?: string | null
  online: boolean
  health?: string | null
  last_seen_ms?: number | null
  capabilities?: string[] | null
  clients?: number | null
  attr?: Record<string, unknown> | null
  state?: Record<string, unknown> | null
  diagnostics?: Record<string, unknown> | null
  /** What the server knows of each tool, by name. */
  tools?: Record<string, unknown> | null
  /** What is known of the way back of each tool that says that it goes back by itself. */
  ways_back?: Record<string, { state: 'proven' | 'failed' | 'claimed'; at_ms?: number; why?: string }> | null
}

export interface DeviceEvent {
  event_type: string
  severity?: string | null
  data?: unknown
  ts_ms?: number | null
  received_ms: number
  /** Why it does not speak of now: `ahead`, `late`, `stale` or `newer`. */
  flag?: string | null
}

/** Who said something of the network, and how it calls it. */
export interface Saying {
  device_id: string
  at_ms: number
  name?: string | null
  kind?: string | null
}

/** What devices say of the network of a site: hearsay, each thing with who said it. */
export interface Hearsay {
  nodes: { id: string; name: string; device: string | null; disputed: boolean; said_by: Saying[] }[]
  links: { from: string; to: string; said_by: Saying[] }[]
  left_out: { device_id: string; nodes: number; links: number }[]
}

export interface TelemetryPoint {
  ts_ms: number
  value: number
  unit?: string | null
}

/** Some telemetry, thinned: the mean of a step, its lowest and highest. */
export interface TelemetryStep extends TelemetryPoint {
  min: number
  max: number
  count: number
}

export interface TelemetrySteps extends Page<TelemetryStep> {
  step_ms: number
}

/** A device of a network: one that speaks with the server (`known`), or one that another told of. */
export interface NetNode {
  device_id: string
  known: boolean
  name?: string | null
  device_type?: string | null
  role?: string | null
  ip_address?: string | null
  room?: string | null
  online?: boolean | null
  health?: string | null
  sources?: string[] | null
  source?: string | string[] | null
}

/** A link; `from` is nearer to the internet. */
export interface NetLink {
  from: string
  to: string
  kind?: string | null
  band?: string | null
  rate_mbps?: number | null
  rssi_dbm?: number | null
  quality?: number | null
  interface?: string | null
  at_ms?: number
  sources?: string[] | null
  source?: string | string[] | null
}

export interface NetChange {
  at_ms: number
  what: 'joined' | 'left' | 'moved' | 'told' | 'event' | (string & {})
  device_id: string
  name?: string | null
  from?: string | null
  to?: string | null
  event_type?: string | null
  severity?: string | null
  source?: string
}

export interface NetPlace {
  tenant: string
  site: string
  nodes: NetNode[]
  links: NetLink[]
  changes: NetChange[]
  cut?: boolean
}

export interface Network extends Page<NetPlace> {
  from_ms: number
  to_ms: number
}

export type Titles = Partial<Record<'zh-TW' | 'zh-CN' | 'en', string>>

export interface JsonSchema {
  type?: string | string[]
  title?: string
  description?: string
  enum?: unknown[]
  default?: unknown
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  pattern?: string
  items?: JsonSchema
  properties?: Record<string, JsonSchema>
  required?: string[]
}

export interface Tool {
  op: string
  class: 'read' | 'test' | 'act' | 'manage'
  permission?: string
  risk?: string
  title?: Titles
  typical_ms?: number
  timeout_ms?: number
  args_schema?: JsonSchema
}

export interface CauseEntry {
  cause: string
  flow?: string
  severity?: string
  title?: Titles
}

export interface Command {
  id: string
  tenant?: string
  site?: string
  device_id: string
  op: string
  args?: unknown
  status: string
  result?: unknown
  error?: { code?: string; message?: string } | null
  progress?: number | string | null
  timings?: { created_ms?: number; sent_ms?: number; acked_ms?: number; ended_ms?: number }
  session_id?: string | null
  attempts?: number
}

export interface DiagnosisStep {
  trace_id: string
  parent_trace_id?: string | null
  tool: string
  device_id?: string
  device_name?: string
  step_description?: string
  status: string
  args?: unknown
  started_at?: number | null
  completed_at?: number | null
  result?: unknown
  error?: unknown
  command_id?: string | null
}

export interface Verdict {
  kind: 'fault' | 'healthy' | 'inconclusive' | (string & {})
  cause?: string | null
  device_id?: string | null
  confidence?: number
  evidence?: EvidenceView[]
  text?: string
  rivals?: RivalView[]
}

export interface Diagnosis {
  session_id: string
  created_at: number
  user_request: string
  status: string
  steps: DiagnosisStep[]
  intent?: { intent?: string; confidence?: number; language?: string } | null
  verdict?: Verdict | null
  changeset_id?: string | null
  tenant?: string
  site?: string
}

export interface ChangesetOperation {
  device_id: string
  device_name?: string
  op: string
  args?: unknown
  previous?: unknown
  previous_hash?: string | null
  applied?: unknown
  applied_hash?: string | null
  state?: string | null
  undoes_itself?: boolean
}

export interface Measurement {
  metric?: string
  value?: number | null
  unit?: string
  samples?: unknown[] | number
}

export interface Changeset {
  changeset_id: string
  status: string
  plan_hash: string
  tenant?: string
  site?: string
  session_id?: string | null
  title?: string
  reason?: string
  risk?: string
  needs_admin?: boolean
  operations?: ChangesetOperation[]
  created_ms?: number
  approve_before_ms?: number
  deadline_ms?: number | null
  proposed_by?: string | null
  approved_by?: string | null
  approved_ms?: number | null
  expect?: { metric?: string; unit?: string; direction?: string; min_gain?: number; text?: string } | null
  before?: Measurement | null
  after?: Measurement | null
  outcome?: { kind?: string; text?: string } | null
  receipt?: unknown
  view?: ChangesetView
  history?: { state: string; at_ms: number; why?: string | null }[]
}

export interface AuditRow {
  n: number
  ts_ms: number
  tenant?: string
  actor?: string
  action: string
  subject?: string
  detail?: unknown
  prev_hash?: string
  hash?: string
}

export interface AuditPage extends Page<AuditRow> {
  chain?: { ok: boolean; checked: number }
}

export interface SystemInfo {
  version?: string
  started_ms?: number
  now_ms?: number
  listeners?: { kind: string; address: string }[]
  clients?: number
  devices?: { total: number; online: number }
  rates?: { messages_per_s?: number }
  store?: { bytes?: number; engine?: string }
  assistant?: { mode?: string }
  quarantine?: number | { count?: number } | null
  degraded?: boolean
  broker?: BrokerInfo | null
}

/** The broker that is used instead of the server's own. */
export interface BrokerInfo {
  address: string
  profile: string
  connected: boolean
  since_ms: number
  why: string
  protocol: string | null
  waiting: number
  recognised: number
  refused: number
  dropped: number
  refused_subscriptions: string[]
}

export interface QuarantineItem {
  topic: string
  reason: string
  payload?: string
  count?: number
  first_ms?: number
  last_ms?: number
}
