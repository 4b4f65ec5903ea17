// The rates that priced an event, where the session may see them.

import { Failed, get, type Session } from '../../api'
import { decimal, text } from '../../decimal'
import { h, type Child } from '../../dom'
import { format } from '../../router'
import { date } from '../../time'
import { badge, brief } from '../../ui/figures'
import type { Pricing, Revision } from './event'
import type { Rate } from '../admin/things'

export type Rates = Map<string, Rate | null> // null: the catalog has it no more

// A rate's id is made of all its parts, so that what was read of one stays true.
const known: Rates = new Map()

// ratesOf reads the rates that revisions name; who may not see rates sees none.
export async function ratesOf(session: Session, revisions: Revision[], signal: AbortSignal): Promise<Rates> {
  if (session.role !== 'admin' && session.role !== 'superadmin') return new Map()
  const ids = new Set(revisions.flatMap((r) => Object.values(r.pricing).map((p) => p.rate_id ?? '')))
  ids.delete('')
  await Promise.all([...ids].filter((id) => !known.has(id)).slice(0, 40).map(async (id) => {
    try {
      known.set(id, await get<Rate>(`/v1/admin/text_model_costs/${id}`, signal))
    } catch (error) {
      if (error instanceof Failed && error.status === 404) known.set(id, null)
      else if (!(error instanceof Failed)) throw error
    }
  }))
  return known
}

// rateCell says what a usage type was priced by.
export function rateCell(p: Pricing | undefined, rates: Rates): Child | Child[] {
  if (!p || p.state === 'unpriced') return badge('unpriced', 'warn',
    'No rate was in force for this model and usage type')
  if (p.state === 'given') return 'given by the client'
  const id = p.rate_id ?? ''
  const rate = rates.get(id)
  if (!rate) return h('span', { title: id }, rate === null ? `${brief(id)} (no longer in the catalog)`
    : `rate ${brief(id)}`)
  return [
    h('a', { href: format(['admin', 'rates'], new URLSearchParams({ model: rate.model })), title: id },
      text(decimal(rate.billed_usd_per_million))),
    h('span', { class: 'muted' }, ` since ${date(new Date(rate.from), 'UTC')}`),
  ]
}
