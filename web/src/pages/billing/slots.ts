// Slots as /v1/report/slots has them: an organization's usage of a meter in a UTC hour, one number.

import { decimal, text, usd, type Decimal } from '../../decimal'
import { h } from '../../dom'
import { format } from '../../router'
import { badge, type Tone } from '../../ui/figures'

export const states = ['open', 'pending', 'sent', 'acked', 'rejected', 'unmapped'] as const
export type State = typeof states[number]

export interface Slot {
  organization_id: string
  meter: string
  window_start: string
  state: State
  unit: 'micro_usd' | 'quantity'
  billable_units: string
  reported_units: string
  carried_in_units: string
  carried_out_units: string
  revision: number
  unpriced: number
  closed: boolean
  detail: string
}

const meanings: Record<State, [Tone, string]> = {
  open: ['', 'Its hour is not over, or may still get usage of its time'],
  pending: ['warn', 'Stripe is to be told, or told again'],
  sent: ['warn', 'Stripe was told, and has not said yet that it has it'],
  acked: ['good', 'Stripe has what is billable, or what it lacks is carried'],
  rejected: ['bad', 'Stripe refused it'],
  unmapped: ['bad', 'No meter counts this usage, or the organization has no customer at Stripe'],
}

export function meaning(state: State): string { return meanings[state][1] }

export function stateBadge(state: State): HTMLElement { return badge(state, meanings[state][0],
  meanings[state][1]) }

const million = 1_000_000n

// units shows a number of a slot: micro-USD as the dollars they are, quantities as they are. The
// title has the units that Stripe counts.
export function units(count: string | Decimal, unit: Slot['unit']): HTMLElement {
  const exact = typeof count === 'string' ? decimal(count) : count
  return unit === 'micro_usd'
    ? h('span', { title: `${text(exact)} micro-USD`, 'data-units': text(exact) }, usd(exact / million))
    : h('span', { title: `${text(exact)} units`, 'data-units': text(exact) }, text(exact))
}

// difference is what Stripe lacks of a slot, or has too much of when it is negative.
export function difference(s: Slot): Decimal { return decimal(s.billable_units) - decimal(s.reported_units) }

export function meterName(meter: string): string { return meter === '' ? 'no meter' : meter }

// hourOf is how a slot's hour is written in an address.
export function hourOf(windowStart: string): string { return windowStart.slice(0, 13) }

export function slotHash(s: Slot): string {
  return format(['billing', s.organization_id, s.meter === '' ? '~' : s.meter, hourOf(s.window_start)])
}

export interface MeterSum { meter: string; unit: Slot['unit']; slots: number; billable: Decimal; reported: Decimal }

// sumsOf is what slots come to by meter.
export function sumsOf(slots: Slot[]): MeterSum[] {
  const sums = new Map<string, MeterSum>()
  for (const s of slots) {
    const m = sums.get(s.meter) ?? { meter: s.meter, unit: s.unit, slots: 0, billable: 0n, reported: 0n }
    m.slots++
    m.billable += decimal(s.billable_units)
    m.reported += decimal(s.reported_units)
    sums.set(s.meter, m)
  }
  return [...sums.values()].sort((a, b) => a.meter < b.meter ? -1 : 1)
}

// countsOf is how many slots are in each state, in the order of a slot's life.
export function countsOf(slots: Slot[]): [State, number][] {
  return states.map((state): [State, number] => [state, slots.filter((s) => s.state === state).length])
}

// hourText writes a UTC hour as people read it.
export function hourText(windowStart: string): string {
  return `${windowStart.slice(0, 10)} ${windowStart.slice(11, 16)}`
}
