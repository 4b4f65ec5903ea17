// An event as /v1/events/{id} has it, and what changed between two of its revisions.

import { decimal, sum, text, usd, type Decimal } from '../../decimal'

export interface Pricing {
  state: 'rated' | 'given' | 'unpriced'
  rate_id?: string
  provider_cost_usd?: string
  billed_cost_usd?: string
}

export interface Revision {
  id: string
  revision: number
  state: 'current' | 'reversed' | 'voided'
  time: string
  agent_id?: string
  user_id?: string
  service?: string
  channel?: string
  api_name?: string
  endpoint?: string
  provider?: string
  provider_endpoint?: string
  provider_key?: string
  model?: string
  chargeable: boolean
  purpose?: string
  usage: Record<string, string>
  cost_usd?: string
  pricing: Record<string, Pricing>
  recorded_at: string
  corrected_by?: string
  reason?: string
  voided_at?: string
  voided_by?: string
  voided_reason?: string
}

export interface EventPage { items: Revision[]; next_cursor: string | null }

export interface EventHistory { id: string; revisions: Revision[] }

// members are the texts of an event that can be amended, in the order they are shown.
export const members = [
  'model', 'provider', 'provider_endpoint', 'provider_key', 'service', 'channel', 'api_name', 'endpoint',
    'purpose',
] as const

export type Member = typeof members[number]

const labels: Record<string, string> = {
  agent_id: 'Agent', user_id: 'User', api_name: 'API name', provider_endpoint: 'Provider endpoint',
  provider_key: 'Provider key', cost_usd: 'Given cost', chargeable: 'Chargeable',
}

// labelOf is a member's name for people: usage.INPUT is INPUT.
export function labelOf(member: string): string {
  if (member.startsWith('usage.')) return member.slice('usage.'.length)
  const known = labels[member]
  return known ?? (member.charAt(0).toUpperCase() + member.slice(1)).replaceAll('_', ' ')
}

// billed and provided are what all usage types of an event cost; what is unpriced costs nothing yet.
export function billed(e: Revision): Decimal {
  return sum(Object.values(e.pricing).map((p) => p.billed_cost_usd))
}

export function provided(e: Revision): Decimal {
  return sum(Object.values(e.pricing).map((p) => p.provider_cost_usd))
}

export function unpriced(e: Revision): string[] {
  return Object.keys(e.pricing).filter((type) => e.pricing[type]?.state === 'unpriced').sort()
}

export interface Change { member: string; before: string | null; after: string | null }

// differences lists what two revisions do not have in common, usage first, then what it costs.
export function differences(a: Revision, b: Revision): Change[] {
  const changes: Change[] = []
  const note = (member: string, before: string | null, after: string | null) => {
    if (before !== after) changes.push({ member, before, after })
  }
  const types = new Set([...Object.keys(a.usage), ...Object.keys(b.usage)])
  for (const type of [...types].sort()) {
    note(`usage.${type}`, figure(a.usage[type]), figure(b.usage[type]))
  }
  for (const member of ['agent_id', 'user_id', ...members] as const) {
    note(member, a[member] ?? null, b[member] ?? null)
  }
  note('chargeable', yes(a.chargeable), yes(b.chargeable))
  note('cost_usd', a.cost_usd === undefined ? null : usd(decimal(a.cost_usd)),
    b.cost_usd === undefined ? null : usd(decimal(b.cost_usd)))
  note('billed', text(billed(a)), text(billed(b)))
  return changes
}

function figure(quantity: string | undefined): string | null {
  return quantity === undefined ? null : text(decimal(quantity))
}

export function yes(value: boolean): string { return value ? 'yes' : 'no' }

export interface Actor { id: string; rest: string }

// actor takes apart who is on record: "user:<uuid> credential:<uuid>", or a text as it is.
export function actor(recorded: string): Actor {
  const user = /^user:([0-9a-f-]{36})(?: (.*))?$/.exec(recorded)
  return user ? { id: user[1]!, rest: user[2] ?? '' } : { id: recorded, rest: '' }
}
