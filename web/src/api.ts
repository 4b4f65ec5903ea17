// Everything that goes over the wire. The session's cookie is the browser's business; what changes
// something carries the session's CSRF token.

export interface Fault { field?: string; index?: number; message: string }

// Failed is an answer that is none: status 0 when the server was not reached at all.
export class Failed extends Error {
  readonly status: number
  readonly faults: Fault[]
  readonly retryAfter: number // seconds; 0: not said
  readonly requestID: string

  constructor(status: number, message: string, faults: Fault[] = [], retryAfter = 0, id = '') {
    super(message)
    this.status = status
    this.faults = faults
    this.retryAfter = retryAfter
    this.requestID = id
  }
}

export interface Named { id: string; name: string }

export interface Session {
  csrf: string
  expires_at: string
  organization: Named
  user: Named | null
  agent: Named | null
  role: 'superadmin' | 'admin' | 'member' | 'agent'
  version: string
  billing: boolean
}

type Listener = (reached: boolean) => void

const listeners = new Set<Listener>()
let csrf = ''
let signedOut: () => void = () => {}

// onReach hears of every request whether the server was reached.
export function onReach(listener: Listener): void { listeners.add(listener) }

// onSignedOut is called when the server no longer knows the session.
export function onSignedOut(f: () => void): void { signedOut = f }

export function useToken(token: string): void { csrf = token }

export interface Options {
  method?: string
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
}

// request answers the response of a 2xx and throws Failed for everything else; an aborted one
// throws the AbortError it is.
export async function request(path: string, options: Options = {}): Promise<Response> {
  const method = options.method ?? 'GET'
  const headers: Record<string, string> = { Accept: 'application/json', ...options.headers }
  if (method !== 'GET') headers['X-CSRF-Token'] = csrf
  const init: RequestInit = { method, headers, credentials: 'same-origin' }
  if (options.signal) init.signal = options.signal
  if (options.body !== undefined) {
    headers['Content-Type'] ??= 'application/json'
    init.body = JSON.stringify(options.body)
  }
  let response: Response
  try {
    response = await fetch(path, init)
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    for (const listener of listeners) listener(false)
    throw new Failed(0, 'The server cannot be reached.')
  }
  for (const listener of listeners) listener(true)
  if (response.ok) return response
  const failure = await failureOf(response)
  if (failure.status === 401 && path !== '/console/session') signedOut()
  throw failure
}

async function failureOf(response: Response): Promise<Failed> {
  let message = `${response.status} ${response.statusText}`.trim()
  let faults: Fault[] = []
  try {
    const problem = await response.json() as { detail?: string; title?: string; errors?: Fault[] }
    message = problem.detail || problem.title || message
    faults = problem.errors ?? []
  } catch { /* no problem document: the status has to do */ }
  return new Failed(response.status, message, faults,
    Number(response.headers.get('Retry-After') ?? 0), response.headers.get('X-Request-Id') ?? '')
}

// get answers a GET's JSON.
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await request(path, signal ? { signal } : {})
  return await response.json() as T
}

// send changes something; an answer without a body is undefined.
export async function send<T>(method: string, path: string, body?: unknown,
  headers: Record<string, string> = {}): Promise<T> {
  const response = await request(path, { method, body, headers })
  const text = await response.text()
  return (text === '' ? undefined : JSON.parse(text)) as T
}

// query makes a query string; arrays repeat their name, empty texts and undefined are left out.
export function query(
  parameters: Record<string, string | number | string[] | undefined>,
): string {
  const all = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined || value === '') continue
    for (const each of Array.isArray(value) ? value : [value]) all.append(name, String(each))
  }
  const text = all.toString()
  return text === '' ? '' : `?${text}`
}

export interface UsageRow {
  time: string
  quantity: string | null
  events: number | null
  provider_cost_usd: string
  billed_cost_usd: string
  unpriced_events: number
  other?: boolean
  [dimension: string]: string | number | boolean | null | undefined
}

export interface UsageAnswer {
  from: string
  to: string
  granularity: string
  timezone: string
  group_by: string[]
  rows: UsageRow[]
}

// usage asks /v1/usage/query.
export function usage(
  parameters: Record<string, string | number | string[] | undefined>, signal?: AbortSignal,
): Promise<UsageAnswer> {
  return get<UsageAnswer>(`/v1/usage/query${query(parameters)}`, signal)
}
