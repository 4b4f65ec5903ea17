// What is behind a slot's number, as a page to read from top to bottom: usage and rates, the sum,
// how it was rounded, what was fixed, what Stripe answered.

import { Failed, get } from '../../api'
import { decimal, text, zero, type Decimal } from '../../decimal'
import { h, render } from '../../dom'
import { every, type Context } from '../../page'
import { format } from '../../router'
import { date, instant } from '../../time'
import { amount, badge, brief, money } from '../../ui/figures'
import { pairs } from '../../ui/pairs'
import { empty, failed, loading } from '../../ui/state'
import { table } from '../../ui/table'
import { keepingFocus } from '../events/list'
import type { Explanation, Usage } from './explanation'
import { attemptsCard, carriesCard, revisionsCard } from './told'
import { difference, hourText, meaning, meterName, stateBadge, units } from './slots'

export interface Asked { organization: string; meter: string; hour: string }

// openSlot draws a slot's explanation and follows it.
export function openSlot({ into, signal }: Context, asked: Asked): void {
  const back = new URLSearchParams({ from: asked.hour.slice(0, 10), to: asked.hour.slice(0, 10) })
  const title = h('h1', {}, `${meterName(asked.meter === '~' ? '' : asked.meter)}, ${asked.hour.replace('T', ' ')}:00 UTC`)
  const body = h('div', { class: 'stack' }, loading(8))
  render(into, h('div', { class: 'page-head' }, h('div', { class: 'title' },
    h('a', { href: format(['billing'], back), class: 'crumb' }, 'Billing'), title)), body)
  const path = `/v1/report/slots/${[asked.organization, asked.meter, asked.hour].map(encodeURIComponent).join('/')}`
  let drawn = ''
  const ask = async () => {
    try {
      const x = await get<Explanation>(path, signal)
      const key = JSON.stringify(x)
      if (key === drawn || signal.aborted) return
      drawn = key
      keepingFocus(body, () => render(body, number(x), usageCard(x), eventsCard(x), revisionsCard(x),
        attemptsCard(x), carriesCard(x)))
    } catch (error) {
      if (signal.aborted || drawn !== '') return
      render(body, error instanceof Failed && error.status === 404
        ? empty('Nothing was used, told or carried in this hour.', h('p', {}, h('a',
          { href: format(['billing'], back) }, 'See the slots of its day')))
        : failed(error, () => { void ask() }))
    }
  }
  every(10, signal, ask)
}

function number(x: Explanation): HTMLElement {
  const lacks = difference(x)
  const carried = x.carried_in_units !== '0' || x.carried_out_units !== '0'
  return h('section', { class: 'card' },
    h('h2', {}, 'The number ', stateBadge(x.state), x.closed && badge('invoiced')),
    h('p', {}, meaning(x.state), '.', x.detail !== '' && [' ', h('strong', {},
      x.detail.charAt(0).toUpperCase() + x.detail.slice(1)), '.']),
    h('ol', { class: 'sum-steps' },
      step('Usage of the hour, exact', h('span', { title: `${x.exact} ${unitName(x)}` }, x.exact === ''
        ? '0' : text(decimal(x.exact)), ' ', unitName(x))),
      step('Rounded half to even, once', whole(x.rounded_units, x)),
      carried && step('Carried here from other slots', whole(x.carried_in_units, x)),
      step('Billable', h('strong', {}, whole(x.billable_units, x))),
      carried && step('Carried away to other slots', whole(x.carried_out_units, x)),
      step('Stripe holds', h('strong', {}, whole(x.reported_units, x))),
      step('Difference', lacks === zero ? 'none' : whole(lacks, x))),
    pairs([
      ['Slot', h('code', {}, x.slot)],
      ['Hour (UTC)', hourText(x.window_start)],
      ['Unpriced measurements', x.unpriced > 0 ? badge(`${x.unpriced}: not billable yet`, 'warn') : 'none'],
    ]))
}

// whole shows units as Stripe counts them, and the dollars that they are.
function whole(count: string | Decimal, x: Explanation): HTMLElement {
  const exact = typeof count === 'string' ? decimal(count) : count
  return h('span', {}, text(exact), ' ', unitName(x),
    x.unit === 'micro_usd' && h('span', { class: 'muted' }, ' = ', units(exact, x.unit)))
}

function unitName(x: Explanation): string { return x.unit === 'micro_usd' ? 'micro-USD' : 'units' }

function step(name: string, value: Node | string): HTMLElement {
  return h('li', {}, h('span', {}, name), h('span', { class: 'num' }, value))
}

function usageCard(x: Explanation): HTMLElement {
  const rates = new Map(x.rates.map((r) => [r.id, r]))
  const rate = (u: Usage) => {
    const r = u.rate_id ? rates.get(u.rate_id) : undefined
    if (u.pricing === 'unpriced') return badge('unpriced', 'warn', 'No rate was in force')
    if (u.pricing === 'given') return 'given by the client'
    return r ? h('span', { title: `${r.id}, since ${date(new Date(r.from), 'UTC')}` },
      text(decimal(r.billed_usd_per_million)))
      : h('span', { title: u.rate_id ?? '' }, `rate ${brief(u.rate_id ?? '')}`)
  }
  return h('section', { class: 'card' }, h('h2', {}, 'Usage and rates'),
    x.usage.length === 0 ? h('p', { class: 'muted' },
      'No usage of its own; the number is what was carried here.')
      : table('Usage of the slot by model, type and rate', [
        { name: 'Model', cell: (u) => u.model || '(no model)' },
        { name: 'Usage type', cell: (u) => u.usage_type },
        { name: 'Measurements', cell: (u) => amount(u.measurements), numeric: true, narrow: true },
        {
          name: 'Quantity',
          cell: (u) => h('span', { title: u.quantity }, text(decimal(u.quantity))), numeric: true,
        },
        { name: 'USD a million', cell: rate, numeric: true },
        { name: 'Billed', cell: (u) => money(u.billed_cost_usd), numeric: true },
      ], x.usage))
}

function eventsCard(x: Explanation): HTMLElement {
  return h('section', { class: 'card' }, h('h2', {}, 'Events'),
    x.events.length === 0 ? h('p', { class: 'muted' }, 'None.')
      : h('details', {}, h('summary', {}, `${x.more_events ? 'The first ' : ''}${x.events.length} entries of the ledger`),
        table('Entries of the ledger in this slot', [
          {
            name: 'Time',
            cell: (e) =>
              h('a', { href: format(['events', e.event_id]), title: e.time }, instant(e.time, 'UTC', true)),
          },
          {
            name: 'Entry',
            cell: (e) =>
              e.reversal ? badge('reversal', 'warn', 'Takes back what a correction replaced') : `revision ${e.revision}`,
          },
          { name: 'Model', cell: (e) => e.model || '(no model)' },
          { name: 'Usage type', cell: (e) => e.usage_type },
          {
            name: 'Quantity',
            cell: (e) => h('span', { title: e.quantity }, text(decimal(e.quantity))), numeric: true,
          },
          { name: 'Billed', cell: (e) => money(e.billed_cost_usd), numeric: true },
        ], x.events)))
}
