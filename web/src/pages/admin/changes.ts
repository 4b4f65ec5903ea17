// The record of changes: who changed what of the catalog, and when.

import { h, type Child } from '../../dom'
import { instant } from '../../time'
import { badge, brief } from '../../ui/figures'
import { table } from '../../ui/table'
import { differences } from './differences'
import { listing, pageOf } from './listing'
import { kinds, type Change, type Desk } from './things'

const words: Record<string, string> = {
  text_model_cost: 'rate', stripe_mapping: 'Stripe mapping', credential: 'key',
}

export function changes(desk: Desk): HTMLElement {
  const own = desk.session.role !== 'superadmin' || desk.organization !== desk.session.organization.id
  return listing<Change>({
    title: 'Changes',
    intro: [h('p', { class: 'muted' }, 'Newest first. Secrets are on no record.')],
    columns: [
      { name: 'When', cell: (c) => h('span', { class: 'nowrap', title: c.changed_at }, instant(c.changed_at)) },
      { name: 'Who', cell: (c) => actor(desk, c.actor) },
      { name: 'What', cell: (c) => [badge(...action(c)), ` ${words[c.kind] ?? c.kind} `, h('strong', {}, called(desk, c))] },
      { name: 'Difference', cell: difference },
    ],
    text: (c) => JSON.stringify([c.actor, c.action, words[c.kind] ?? c.kind, c.id, called(desk, c), c.before, c.after]),
    read: pageOf('audit', own ? desk.organization : '', desk.signal),
    none: [],
    signal: desk.signal,
  }).element
}

function action(c: Change): [string, 'good' | 'bad' | ''] {
  switch (c.action) {
    case 'create': return ['made', 'good']
    case 'retire': return ['retired', 'bad']
    default: return ['changed', '']
  }
}

// actor shows who did it by name where we know one; the record's own words are in the title.
function actor(desk: Desk, recorded: string): HTMLElement {
  const user = /^user:([0-9a-f-]{36})/.exec(recorded)?.[1]
  const file = /^file:(.*) by /.exec(recorded)?.[1]
  const shown = user ? desk.names.name('user', user) ?? `user ${brief(user)}` : file ? `file ${file}` : recorded
  return h('span', { title: recorded }, shown)
}

function called(desk: Desk, c: Change): string {
  const thing = c.after ?? c.before ?? {}
  const text = (name: string) => typeof thing[name] === 'string' ? thing[name] : ''
  switch (c.kind) {
    case 'text_model_cost': return `${text('model')} ${text('usage_type')}`
    case 'membership': return desk.names.name('user', text('user_id')) ?? brief(text('user_id'))
    case 'stripe_mapping': return text('customer')
    case 'credential': return text('name') || kinds[text('kind') as keyof typeof kinds] || brief(c.id)
    default: return text('name') || brief(c.id)
  }
}

function difference(c: Change): Child {
  const rows = differences(c.before, c.after)
  if (rows.length === 0) return h('span', { class: 'muted' }, 'none')
  return h('details', {},
    h('summary', {}, rows.length === 1 ? rows[0]!.name : `${rows.length} values`),
    table(`Difference of ${c.kind} ${c.id}`, [
      { name: 'Value', cell: (r) => r.name },
      { name: 'Before', cell: (r) => r.before },
      { name: 'After', cell: (r) => r.after },
    ], rows))
}
