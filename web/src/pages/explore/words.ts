// What dimensions, measures and their values are called.

import type { UsageRow } from '../../api'
import { decimal, short, text, usd, type Decimal } from '../../decimal'
import { nameOf, type Names } from '../../names'
import type { Dimension, Granularity, Measure, Order } from '../../question'

export const dimensionNames: Record<Dimension, string> = {
  agent_id: 'Agent', user_id: 'User', service: 'Service', channel: 'Channel', api_name: 'API name',
  endpoint: 'Endpoint', provider: 'Provider', model: 'Model', purpose: 'Purpose', chargeable: 'Chargeable',
  usage_type: 'Usage type',
}

export const measureNames: Record<Measure, string> = {
  billed_cost: 'Billed cost', provider_cost: 'Provider cost', quantity: 'Quantity', events: 'Events',
}

export const orderNames: Record<Order, string> = {
  billed_cost: 'Billed cost', quantity: 'Quantity', events: 'Events',
}

export const granularityNames: Record<Granularity, string> = {
  '15m': '15 minutes', hour: 'Hour', day: 'Day', week: 'Week', month: 'Month', total: 'Whole range',
}

// valueName is a value of a dimension for people.
export function valueName(d: Dimension, value: unknown, known: Names): string {
  const id = value === null || value === undefined ? '' : String(value)
  if (d === 'agent_id') return nameOf(known, 'agent', id)
  if (d === 'user_id') return nameOf(known, 'user', id)
  if (d === 'chargeable') return id === 'true' ? 'chargeable' : 'not chargeable'
  return id === '' ? `(no ${dimensionNames[d].toLowerCase()})` : id
}

// measured is a row's value, null where there is none that means something.
export function measured(row: UsageRow, m: Measure): Decimal | null {
  switch (m) {
    case 'billed_cost': return decimal(row.billed_cost_usd)
    case 'provider_cost': return decimal(row.provider_cost_usd)
    case 'quantity': return row.quantity === null ? null : decimal(row.quantity)
    case 'events': return row.events === null ? null : decimal(String(row.events))
  }
}

const isMoney = (m: Measure) => m === 'billed_cost' || m === 'provider_cost'

export function brief(value: Decimal, m: Measure): string { return isMoney(m) ? usd(value) : short(value) }

// exactly has every digit of a quantity, and of money as many as people read.
export function exactly(value: Decimal, m: Measure): string { return isMoney(m) ? usd(value) : text(value) }
