// Wire types of the web chat: `chat/…`, `system/…`, `connection/…` (talkwire-proto, chat.rs).

export type Role = 'user' | 'guest' | 'device' | 'assistant' | 'system'

export interface Chunk {
  index: number
  count: number
  sha256: string
}

export interface ChatSend {
  id: string
  session_id: string
  text: string
  ts?: number
  client_id?: string
  reply_to?: string
  chunk?: Chunk
}

export interface ChatMessage {
  id: string
  in_reply_to?: string
  session_id: string
  role: Role
  username: string
  text: string
  parts?: Part[]
  /** Unix milliseconds of its first form. */
  ts: number
  /** Its place in the conversation. */
  seq: number
  /** Which form of it; a higher one replaces the lower. */
  rev?: number
  /** Rises with every message and newer form: what to ask after when catching up. */
  change?: number
}

export type Part =
  | ({ kind: 'understanding' } & UnderstandingPart)
  | ({ kind: 'steps' } & StepsPart)
  | ({ kind: 'cause' } & CausePart)
  | ({ kind: 'chart' } & ChartPart)
  | ({ kind: 'table' } & TablePart)
  | ({ kind: 'changeset' } & ChangesetView)
  | ({ kind: 'choices' } & ChoicesPart)

export interface UnderstandingPart {
  intent: string
  confidence: number
}

export interface StepsPart {
  diagnosis_id: string
  steps: StepView[]
}

export type StepStatus = 'waiting' | 'running' | 'completed' | 'failed' | 'skipped'

export interface StepView {
  trace_id: string
  tool: string
  title: string
  device_id: string
  device_name: string
  status: StepStatus | (string & {})
  progress?: number
  started_at?: number
  completed_at?: number
  summary?: string
  error?: string
}

export interface CausePart {
  verdict: 'fault' | 'healthy' | 'inconclusive' | (string & {})
  cause?: string
  text: string
  confidence: number
  evidence: EvidenceView[]
  rivals?: RivalView[]
}

export interface EvidenceView {
  name: string
  text: string
  value: unknown
  trace_id: string
  device_id: string
}

export interface RivalView {
  cause: string
  text: string
  confidence: number
}

export interface ChartPart {
  title: string
  unit: string
  points: ChartPoint[]
}

export interface ChartPoint {
  label: string
  value: number
  marked?: boolean
}

export interface TablePart {
  title: string
  columns: string[]
  rows: string[][]
}

export interface ChoicesPart {
  options: string[]
}

export interface OperationView {
  device_id: string
  device_name: string
  op: string
  label: string
  before: string
  after: string
  undoes_itself: boolean
}

export type ChangesetStatus =
  | 'draft'
  | 'proposed'
  | 'approved'
  | 'preparing'
  | 'applied'
  | 'verifying'
  | 'committed'
  | 'rolled_back'
  | 'rollback_failed'
  | 'rejected'
  | 'expired'

export interface ChangesetView {
  changeset_id: string
  status: ChangesetStatus | (string & {})
  plan_hash: string
  operations: OperationView[]
  expect: string
  impact: string
  undo: string
  risk: 'low' | 'medium' | 'high' | (string & {})
  needs_admin: boolean
  deadline_ms?: number
  before?: string
  after?: string
  outcome?: string
  has_receipt?: boolean
}

export type DeliveryStatus = 'sending' | 'sent' | 'processing' | 'failed'

export interface ChatStatus {
  id: string
  status: DeliveryStatus
  error?: ChatError
}

export interface ChatError {
  id?: string
  code: string
  message: string
}

export interface SessionAsk {
  request_id?: string
  client_id?: string
  session_id?: string
  name?: string
  /** Messages with a higher `change`. */
  after?: number
  /** Messages with a lower `seq`. */
  before?: number
  /** 1–200 */
  limit?: number
}

export interface ConversationView {
  session_id: string
  name: string
  created_at: number
  message_count: number
}

export interface SessionAnswer {
  request_id?: string
  session?: ConversationView
  sessions?: ConversationView[]
  messages?: ChatMessage[]
  more?: boolean
}

export interface ConnectionState {
  status: 'connected' | 'degraded' | 'disconnected' | (string & {})
  detail?: string
  since: number
  count?: number
}
