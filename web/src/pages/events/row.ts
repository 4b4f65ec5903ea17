// An event in a table: the same on the events' page and on an agent's.

import { text, decimal } from '../../decimal'
import { h, type Child } from '../../dom'
import { format } from '../../router'
import { instant } from '../../time'
import { amount, badge, brief, money } from '../../ui/figures'
import { table, type Column } from '../../ui/table'
import type { Who } from '../who'
import { billed, unpriced, type Revision } from './event'

// eventTable lists events; `agent` is left out where all of them are of one.
export function eventTable(caption: string, events: Revision[], who: Who, withAgent = true): HTMLElement {
  const columns: Column<Revision>[] = [
    { name: 'Time', cell: (e) => timeLink(e) },
    ...(withAgent ? [{ name: 'Agent', cell: (e: Revision) => who.agentLink(e.agent_id) }] : []),
    { name: 'User', cell: (e) => who.userText(e.user_id) },
    { name: 'Model', cell: (e) => e.model ?? h('span', { class: 'muted' }, 'none') },
    { name: 'Usage', cell: (e) => usageOf(e) },
    { name: 'Billed', cell: (e) => costOf(e), numeric: true },
    { name: 'State', cell: (e) => marks(e) },
    { name: 'Event', cell: (e) => h('code', { title: e.id }, brief(e.id)) },
  ]
  return table(caption, columns, events, { class: 'events' })
}

function timeLink(e: Revision): HTMLElement {
  return h('a', {
    href: format(['events', e.id]), class: 'row-link num', title: e.time, 'data-id': e.id,
  }, instant(e.time, undefined, true))
}

// costOf is no $0 where no usage type has a price.
function costOf(e: Revision): HTMLElement {
  return unpriced(e).length === Object.keys(e.usage).length
    ? h('span', { class: 'muted' }, 'no cost yet') : money(billed(e))
}

function usageOf(e: Revision): HTMLElement {
  const types = Object.keys(e.usage).sort()
  const exact = types.map((t) => `${t} ${text(decimal(e.usage[t]!))}`).join(', ')
  return h('span', { class: 'usage', title: exact }, types.map((t) =>
    h('span', {}, h('span', { class: 'muted' }, t), '\u00a0', amount(e.usage[t]!))))
}

// marks are what sets an event apart from an ordinary one.
export function marks(e: Revision): Child[] {
  const none = unpriced(e)
  return [
    e.state === 'voided' && badge('voided', 'bad', e.voided_reason),
    e.revision > 0 && badge(`revision ${e.revision}`, '', e.reason),
    none.length > 0 && badge('unpriced', 'warn', `No rate for ${none.join(', ')}`),
    !e.chargeable && badge('not charged'),
  ]
}

// arrows moves between the rows' links by the arrow keys, J and K.
export function arrows(into: HTMLElement): void {
  into.addEventListener('keydown', (e) => {
    const by = e.key === 'ArrowDown' || e.key === 'j' ? 1 : e.key === 'ArrowUp' || e.key === 'k' ? -1 : 0
    const here = e.target instanceof HTMLElement ? e.target.closest<HTMLElement>('.row-link') : null
    if (by === 0 || !here || e.ctrlKey || e.metaKey || e.altKey) return
    const links = [...into.querySelectorAll<HTMLElement>('.row-link')]
    const next = links[links.indexOf(here) + by]
    if (next) { e.preventDefault(); next.focus() }
  })
}
