// One event: what it is now, what it costs, and every revision that led there.

import { Failed, get } from '../../api'
import { decimal, text, usd } from '../../decimal'
import { h, render, type Child } from '../../dom'
import { every, type Context } from '../../page'
import { format } from '../../router'
import { ago, instant } from '../../time'
import { badge, brief, copyable, money } from '../../ui/figures'
import { pairs } from '../../ui/pairs'
import { failed, loading } from '../../ui/state'
import { table } from '../../ui/table'
import { say } from '../../ui/toast'
import { who, type Who } from '../who'
import { amend } from './amend'
import { billed, labelOf, members, provided, yes, type EventHistory, type Revision } from './event'
import { timeline } from './history'
import { rateCell, type Rates, ratesOf } from './rates'
import { marks } from './row'
import { voidEvent } from './void'

interface Shown { context: Context; id: string; who: Who; rates: Rates; revisions: Revision[] }

// openOne draws an event and follows its corrections.
export async function openOne(context: Context, id: string): Promise<void> {
  const { into, signal } = context
  const body = h('div', { class: 'stack' }, loading(6))
  render(into, heading(h('h1', {}, 'Event')), body)
  let shown: Shown
  try {
    const [names, all] = await Promise.all([who(context.session), ask(id, signal)])
    shown = { context, id, who: names, rates: await ratesOf(context.session, all.revisions, signal),
      revisions: all.revisions }
  } catch (error) {
    if (signal.aborted) return
    render(body, error instanceof Failed && error.status === 404 ? missing()
      : failed(error, () => { void openOne(context, id) }))
    return
  }
  if (signal.aborted) return
  draw(shown)
  every(5, signal, () => follow(shown))
}

function ask(id: string, signal: AbortSignal): Promise<EventHistory> {
  return get<EventHistory>(`/v1/events/${encodeURIComponent(id)}/history`, signal)
}

function missing(): HTMLElement {
  return h('div', { class: 'state empty' },
    h('p', { class: 'state-title' }, 'No event that you may see has this id.'),
    h('p', {}, 'It may be another organization’s or another user’s, or it was never recorded. ',
      h('a', { href: format(['events']) }, 'Search all events')))
}

// follow draws a revision that somebody else made, unless a dialog is open over it.
async function follow(shown: Shown): Promise<void> {
  const all = await ask(shown.id, shown.context.signal)
  if (stateKey(all.revisions) === stateKey(shown.revisions) || document.querySelector('dialog[open]')) return
  shown.revisions = all.revisions
  shown.rates = await ratesOf(shown.context.session, all.revisions, shown.context.signal)
  if (shown.context.signal.aborted) return
  draw(shown)
  say('The event was corrected meanwhile; this is its newest revision.')
}

function stateKey(revisions: Revision[]): string {
  return revisions.map((r) => `${r.revision}${r.state}`).join(' ')
}

// again draws what the server has now, with the focus on its heading.
async function again(shown: Shown, done: string): Promise<void> {
  const all = await ask(shown.id, shown.context.signal)
  shown.revisions = all.revisions
  shown.rates = await ratesOf(shown.context.session, all.revisions, shown.context.signal)
  draw(shown)
  shown.context.into.querySelector<HTMLElement>('#now')?.focus()
  if (done !== '') say(done)
}

function heading(title: HTMLElement, ...rest: Child[]): HTMLElement {
  return h('div', { class: 'page-head' },
    h('div', { class: 'title' }, h('a', { href: format(['events']), class: 'crumb' }, 'Events'), title),
      ...rest)
}

function draw(shown: Shown): void {
  const e = shown.revisions[shown.revisions.length - 1]!
  const { role } = shown.context.session
  const mayCorrect = (role === 'admin' || role === 'superadmin') && e.state === 'current'
  render(shown.context.into,
    heading(h('h1', {}, `Event ${brief(e.id)}`), mayCorrect && actions(shown, e)),
    h('div', { class: 'stack' },
      e.state === 'voided' && voided(shown, e),
      now(shown, e), costs(shown, e), timeline(shown.revisions, shown.who)))
}

function actions(shown: Shown, e: Revision): HTMLElement {
  const look = () => again(shown, '')
  return h('div', { class: 'actions' },
    h('button', {
      type: 'button',
      onclick: async () => {
        if (await amend(e, shown.who, look)) await again(shown, 'The event is amended.')
      },
    }, 'Amend…'),
    h('button', {
      type: 'button',
      onclick: async () => {
        if (await voidEvent(e, shown.who, look)) await again(shown,
          'The event is voided; it counts for nothing now.')
      },
    }, 'Void…'))
}

function voided(shown: Shown, e: Revision): HTMLElement {
  return h('div', { class: 'state notice' },
    h('p', { class: 'state-title' }, 'Voided: this event counts for nothing.'),
    h('p', {}, shown.who.actorText(e.voided_by), ' voided it at ', instant(e.voided_at ?? e.recorded_at,
      undefined, true),
      e.voided_reason ? `: ${e.voided_reason}` : '.'))
}

function now(shown: Shown, e: Revision): HTMLElement {
  const texts = members.filter((m) => e[m]).map((m): [string, Child] => [labelOf(m), e[m]])
  return h('section', { class: 'card' },
    h('h2', { id: 'now', tabindex: '-1' }, e.revision === 0 ? 'As recorded'
      : `As it counts now: revision ${e.revision}`,
      ' ', marks({ ...e, revision: 0 })),
    pairs([
      ['Id', copyable(e.id, 'event’s id')],
      ['Time', h('span', { title: e.time }, `${instant(e.time, undefined, true)} (${ago(e.time)})`)],
      ['Recorded', recorded(shown.revisions[0]!)],
      ['This revision made', e.revision > 0 && recorded(e)],
      ['Agent', shown.who.agentLink(e.agent_id)],
      ['User', shown.who.userText(e.user_id)],
      ...texts,
      ['Chargeable', yes(e.chargeable)],
      ['Given cost', e.cost_usd === undefined ? null : usd(decimal(e.cost_usd))],
    ]))
}

function recorded(e: Revision): HTMLElement {
  return h('span', { title: e.recorded_at }, instant(e.recorded_at, undefined, true))
}

function costs(shown: Shown, e: Revision): HTMLElement {
  const types = Object.keys(e.usage).sort()
  return h('section', { class: 'card' },
    h('h2', {}, 'What it costs'),
    table('Usage and cost of each usage type', [
      { name: 'Usage type', cell: (t) => t },
      {
        name: 'Quantity',
        cell: (t) => h('span', { title: e.usage[t] }, text(decimal(e.usage[t]!))), numeric: true,
      },
      { name: 'Rate, USD a million', cell: (t) => rateCell(e.pricing[t], shown.rates) },
      { name: 'Provider cost', cell: (t) => cost(e.pricing[t]?.provider_cost_usd), numeric: true },
      { name: 'Billed', cell: (t) => cost(e.pricing[t]?.billed_cost_usd), numeric: true },
    ], types),
    h('p', { class: 'sum', 'data-billed': text(billed(e)) }, 'Together billed ', h('strong', {},
      money(billed(e))),
      h('span', { class: 'muted' }, ' at a provider cost of ', money(provided(e)),
        `, ${types.length} usage ${types.length === 1 ? 'type' : 'types'}.`)))
}

function cost(value: string | undefined): Child {
  return value === undefined ? badge('no cost yet', 'warn', 'No rate prices this: it is not $0')
    : money(value)
}

