// What the admin API is about, as it writes it: docs/admin.md.

import { get, query, type Session } from '../../api'
import type { Names } from '../../names'

export interface Page<Row> { items: Row[]; next_cursor: string | null }

export type Kind = 'agent_secret' | 'access_token' | 'app_password' | 'login_token'

export interface Credential {
  id: string
  kind: Kind
  name: string
  organization_id: string
  user_id: string | null
  agent_id: string | null
  expires_at: string | null
  requests_per_minute: number
  secret?: string // in the answer to its making, and nowhere else
}

export interface Agent { id: string; organization_id: string; name: string; owner_id: string | null }
export interface User { id: string; name: string; email: string }
export interface Membership { organization_id: string; user_id: string; role: string; active: boolean }

export interface Organization {
  id: string
  name: string
  tenant: string
  events_per_minute: number
  retention_days: number
}

export interface Mapping {
  organization_id: string
  customer: string
  meter: string
  subscription_item: string
  meters: { meter: string; subscription_item: string }[]
  since: string | null
}

export interface Rate {
  id: string
  model: string
  usage_type: string
  provider: string
  provider_usd_per_million: string
  billed_usd_per_million: string
  from: string
}

export interface Unpriced {
  organization_id: string
  model: string
  usage_type: string
  measurements: number
  quantity: string
  first_day: string
  last_day: string
}

export interface Change {
  version: string
  changed_at: string
  actor: string
  organization_id: string | null
  kind: string
  id: string
  action: 'create' | 'change' | 'retire'
  before: Record<string, unknown> | null
  after: Record<string, unknown> | null
}

// Desk is what every tab of the page works with.
export interface Desk {
  session: Session
  organization: string // whose things are shown: never empty
  names: Names
  signal: AbortSignal
  reload(): void // the whole page: names have changed
}

export const kinds: Record<Kind, string> = {
  agent_secret: 'Agent secret',
  access_token: 'Access token',
  app_password: 'App password',
  login_token: 'Login token',
}

const pagesMax = 20

// everything reads all pages of a collection, as far as anybody would look.
export async function everything<Row>(collection: string, signal: AbortSignal, organization = ''): Promise<Row[]> {
  const rows: Row[] = []
  let cursor: string | undefined
  for (let page = 0; page < pagesMax; page++) {
    const answer = await get<Page<Row>>(
      `/v1/admin/${collection}${query({ organization_id: organization, limit: 1000, cursor })}`, signal)
    rows.push(...answer.items)
    if (!answer.next_cursor) break
    cursor = answer.next_cursor
  }
  return rows
}

// whole is a whole number for the API; what is none goes as it is, and the server says so.
export function whole(text: string): number | string {
  const trimmed = text.trim()
  if (trimmed === '') return 0
  return /^\d{1,15}$/.test(trimmed) ? Number(trimmed) : trimmed
}

// entry is a text of a form, trimmed.
export function entry(data: FormData, name: string): string {
  const value = data.get(name)
  return typeof value === 'string' ? value.trim() : ''
}
