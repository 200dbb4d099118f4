// The HTTP door: requests to /api/v1, errors as problem details.

const BASE = (import.meta.env.VITE_API_BASE_URL || '/api').replace(/\/$/, '')

/** A refusal of the server, or its absence (`E_UNREACHABLE`). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
  ) {
    super(detail || code)
  }
  get isUnreachable(): boolean {
    return this.status === 0
  }
}

let skewMs = 0
let renew: (() => Promise<unknown>) | null = null

/** The server's clock, as well as its answers let us know it. */
export function serverNow(): number {
  return Date.now() + skewMs
}

/** How to get a session again when the server does not know ours any more. */
export function onUnauthorised(again: () => Promise<unknown>): void {
  renew = again
}

function learnClock(response: Response, sentAt: number): void {
  const date = Date.parse(response.headers.get('date') ?? '')
  if (Number.isNaN(date)) return
  const middle = (sentAt + Date.now()) / 2
  const skew = date + 500 - middle
  // The header has whole seconds: below two of them, believe our own clock.
  skewMs = Math.abs(skew) > 2_000 ? skew : 0
}

async function problemOf(response: Response): Promise<Problem> {
  const body = (await response.json().catch(() => ({}))) as { code?: string; detail?: string; title?: string }
  return new Problem(response.status, body.code ?? `HTTP_${response.status}`, body.detail ?? body.title ?? '')
}

interface Options {
  method?: string
  body?: unknown
  signal?: AbortSignal
  timeoutMs?: number
  retried?: boolean
}

/** Asks `/api/v1{path}`. */
export async function request<T>(path: string, options: Options = {}): Promise<T> {
  const sentAt = Date.now()
  const limit = AbortSignal.timeout(options.timeoutMs ?? 20_000)
  const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit
  let response: Response
  try {
    response = await fetch(`${BASE}/v1${path}`, {
      method: options.method ?? 'GET',
      credentials: 'same-origin',
      headers: options.body === undefined ? {} : { 'Content-Type': 'application/json' },
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      signal,
    })
  } catch (error) {
    if (options.signal?.aborted) throw error
    throw new Problem(0, limit.aborted ? 'E_NO_ANSWER' : 'E_UNREACHABLE', '')
  }
  learnClock(response, sentAt)
  // A proxy without a server behind it answers in its own words; ours are problem details.
  if (response.status >= 500 && !response.headers.get('content-type')?.includes('json')) throw new Problem(0, 'E_UNREACHABLE', '')
  if (response.status === 401 && renew && !options.retried && !path.startsWith('/session/')) {
    await renew().catch(() => undefined)
    return request<T>(path, { ...options, retried: true })
  }
  if (!response.ok) throw await problemOf(response)
  if (response.status === 204) return undefined as T
  return (await response.json()) as T
}

export const get = <T>(path: string, signal?: AbortSignal) => request<T>(path, { signal })
export const post = <T>(path: string, body: unknown = {}, timeoutMs?: number) => request<T>(path, { method: 'POST', body, timeoutMs })

/** Where the server-sent events are. */
export const eventsUrl = `${BASE}/v1/events`

/** Path of a device. */
export function devicePath(device: { tenant: string; site: string; device_id: string }): string {
  return `/devices/${[device.tenant, device.site, device.device_id].map(encodeURIComponent).join('/')}`
}
