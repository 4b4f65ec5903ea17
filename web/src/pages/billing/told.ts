// What Stripe was told of a slot, what it answered, and what was told with another slot instead.

import { h, type Child } from '../../dom'
import { instant } from '../../time'
import { badge, copyable, type Tone } from '../../ui/figures'
import { table } from '../../ui/table'
import type { Explanation } from './explanation'
import { hourText, units } from './slots'

const good = new Set(['accepted', 'duplicate', 'settled'])
const bad = new Set(['rejected', 'refused', 'conflict', 'differs', 'abandoned'])

function verdictBadge(verdict: string): HTMLElement {
  const tone: Tone = good.has(verdict) ? 'good' : bad.has(verdict) ? 'bad' : verdict === 'not_sent' ? ''
    : 'warn'
  return badge(verdict.replace('_', ' '), tone)
}

function card(title: string, none: string, rows: unknown[], content: () => Child): HTMLElement {
  return h('section', { class: 'card' }, h('h2', {}, title),
    rows.length === 0 ? h('p', { class: 'muted' }, none) : content())
}

// revisionsCard lists the numbers as they were fixed before Stripe was told.
export function revisionsCard(x: Explanation): HTMLElement {
  return card('Numbers told', 'Nothing was fixed for Stripe yet.', x.revisions,
    () => table('Revisions of the slot', [
    { name: 'Revision', cell: (r) => r.revision, numeric: true },
    { name: 'Total', cell: (r) => units(r.total_units, x.unit), numeric: true },
    { name: 'Sent', cell: (r) => units(r.send_units, x.unit), numeric: true, narrow: true },
    { name: 'Outcome', cell: (r) => verdictBadge(r.verdict) },
    {
      name: 'Fixed',
      cell: (r) => h('span', { title: r.created_at }, instant(r.created_at, undefined, true)),
    },
    { name: 'Customer', cell: (r) => h('code', {}, r.customer) },
    { name: 'Identifier', cell: (r) => copyable(r.identifier, 'identifier') },
  ], x.revisions))
}

// attemptsCard lists what came of telling Stripe.
export function attemptsCard(x: Explanation): HTMLElement {
  return card('Attempts and Stripe’s answers', 'Stripe was not called for this slot.', x.attempts,
    () => table('Attempts', [
    { name: 'Time', cell: (a) => h('span', { title: a.at }, instant(a.at, undefined, true)) },
    { name: 'Revision', cell: (a) => a.revision, numeric: true },
    { name: 'Outcome', cell: (a) => verdictBadge(a.verdict) },
    { name: 'HTTP', cell: (a) => a.http_status ?? 'no answer', numeric: true },
    {
      name: 'Stripe’s request',
      cell: (a) => a.request_id === '' ? '' : copyable(a.request_id, 'request id'),
    },
    { name: 'What it said', cell: (a) => a.detail },
  ], x.attempts))
}

// carriesCard lists units that were told with another slot, since Stripe took no more of this one.
export function carriesCard(x: Explanation): HTMLElement {
  return card('Carried', 'Nothing was carried here or away.', x.carries, () => table('Carries', [
    { name: 'From', cell: (c) => hourText(c.from) },
    { name: 'To', cell: (c) => hourText(c.to) },
    { name: 'Units', cell: (c) => units(c.units, x.unit), numeric: true },
    { name: 'Why', cell: (c) => c.reason },
    { name: 'When', cell: (c) => h('span', { title: c.created_at }, instant(c.created_at)) },
  ], x.carries))
}
