// What keeps usage from being billed, and what to do about it.

import type { Session } from '../../api'
import { h } from '../../dom'
import { format } from '../../router'
import type { Slot } from './slots'

// notices says it in words, above everything else.
export function notices(session: Session, slots: Slot[]): HTMLElement[] {
  const found: HTMLElement[] = []
  const unmapped = slots.filter((s) => s.state === 'unmapped').length
  const rejected = slots.filter((s) => s.state === 'rejected').length
  if (!session.billing) {
    found.push(notice('This node does not report to Stripe.',
      'Slots are counted and kept, and nothing is sent. Nothing is lost: start the server with ',
      h('code', {}, 'STRIPE_API_KEY'), ' set, and what is due is told then, back to 35 days.'))
  }
  if (unmapped > 0) {
    found.push(notice(`${count(unmapped)} of this range ${unmapped === 1 ? 'is' : 'are'} not mapped.`,
      'Usage is there that nobody is billed for: the organization has no customer at Stripe, or none of its meters counts it. ',
      session.role === 'superadmin'
        ? [h('a', { href: format(['admin', 'organizations']) }, 'Set its Stripe customer and meter'),
          ', or ', h('code', {}, 'stripe: {customer: cus_…, meter: …}'), ' in the catalog file.']
        : ['Ask a superadmin to set the organization’s Stripe customer and meter.']))
  }
  if (rejected > 0) {
    found.push(notice(`Stripe refused ${count(rejected)}.`,
      'Open one: its explanation has what Stripe said, and what to do.'))
  }
  return found
}

function count(n: number): string { return n === 1 ? '1 slot' : `${n} slots` }

function notice(title: string, ...what: (Node | string | (Node | string)[])[]): HTMLElement {
  return h('div', { class: 'state notice' }, h('p', { class: 'state-title' }, title), h('p', {}, ...what))
}
