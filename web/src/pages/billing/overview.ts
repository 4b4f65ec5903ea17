// The front of billing: what is in the way, the estimate, what Stripe holds beside what we hold.

import { Failed, get, query } from '../../api'
import { h, render, type Child } from '../../dom'
import { organizationOf, organizationPicker } from '../../organization'
import { every, type Context } from '../../page'
import { format, replace } from '../../router'
import { days } from '../../time'
import { badge } from '../../ui/figures'
import { empty, failed, loading } from '../../ui/state'
import { table } from '../../ui/table'
import { keepingFocus } from '../events/list'
import { showEstimate } from './estimate'
import { filterOf, fitting, parametersOf, type Filter } from './filter'
import { notices } from './notices'
import { reportNow } from './run'
import {
  countsOf, difference, hourText, meaning, meterName, slotHash, stateBadge, sumsOf, units, type Slot,
    type State,
} from './slots'

const shownMax = 240

interface View {
  context: Context
  organization: string
  filter: Filter
  slots: Slot[]
  asked: string // the range that the slots are of
  drawn: string
  whole: boolean
  notice: HTMLElement
  fields: HTMLElement
  body: HTMLElement
}

// openBilling draws the page and follows it.
export function openBilling(context: Context): void {
  const { into, session, signal, route } = context
  const view: View = {
    context, organization: organizationOf(session, route.parameters), filter: filterOf(route.parameters,
      new Date()),
    slots: [], asked: '', drawn: '', whole: false, notice: h('div', { class: 'stack' }),
    fields: h('div', { class: 'fields' }), body: h('div', { class: 'stack' }, loading(8)),
  }
  const estimate = h('section', { class: 'card' }, h('h2', {}, 'Estimate of the open period'), loading(3))
  const picker = organizationPicker(session, view.organization, (id) => {
    location.hash = format(['billing'], parametersOf(view.filter, id))
  })
  const run = session.role === 'superadmin' && h('button', {
    type: 'button', onclick: async () => { if (await reportNow(session)) await ask(view) },
  }, 'Report now…')
  render(into, h('div', { class: 'page-head' }, h('h1', {}, 'Billing'), h('div', { class: 'actions' },
    picker, run)),
    view.notice, estimate,
    h('section', { class: 'card' }, h('h2', {}, 'What Stripe holds beside what we hold'), view.fields,
      view.body))
  drawFields(view)
  let drawn = ''
  every(30, signal, async () => {
    try {
      drawn = await showEstimate(estimate, view.organization, signal, drawn)
    } catch (error) {
      if (drawn === '' && !signal.aborted) render(estimate, h('h2', {}, 'Estimate of the open period'),
        failed(error))
    }
  })
  every(10, signal, () => ask(view))
}

async function ask(view: View): Promise<void> {
  const { signal } = view.context
  const { from, to } = view.filter
  try {
    const slots = await get<Slot[]>(`/v1/report/slots${query({
      organization_id: view.organization, from, to: days(to, 1),
    })}`, signal)
    if (signal.aborted || from !== view.filter.from || to !== view.filter.to) return
    view.slots = slots
    view.asked = `${from} ${to}`
    draw(view)
  } catch (error) {
    if (signal.aborted || view.asked === `${from} ${to}` && error instanceof Failed) return
    view.drawn = ''
    render(view.body, failed(error, () => { void ask(view) }))
  }
}

function change(view: View, next: Partial<Filter>): void {
  const before = view.filter
  view.filter = { ...before, ...next }
  replace(['billing'], parametersOf(view.filter, view.organization))
  view.drawn = ''
  view.whole = false
  drawFields(view)
  if (before.from !== view.filter.from || before.to !== view.filter.to) {
    render(view.body, loading(8))
    void ask(view)
  } else draw(view)
}

function drawFields(view: View): void {
  const { filter } = view
  const day = (id: string, label: string, value: string, set: (v: string) => void) => {
    const input = h('input', {
      id, type: 'date', value, required: true, onchange: () => { if (input.value !== '') set(input.value) },
    })
    return h('div', { class: 'field' }, h('label', { for: id }, label), input)
  }
  const active = document.activeElement?.id
  const meters = [...new Set([...view.slots.map((s) => s.meter), ...(filter.meter === null ? []
    : [filter.meter])])].sort()
  const meter = h('select', { id: 'slots-meter', onchange: () => change(view,
    { meter: meter.value === 'all' ? null : meter.value.slice(1) }) },
    h('option', { value: 'all' }, 'All meters'),
    meters.map((m) => h('option', { value: `=${m}`, selected: m === filter.meter }, meterName(m))))
  render(view.fields,
    day('slots-from', 'From (UTC day)', filter.from, (from) => change(view, { from,
      to: from > view.filter.to ? from : view.filter.to })),
    day('slots-to', 'To (UTC day)', filter.to, (to) => change(view, { to, from: to < view.filter.from
      ? to : view.filter.from })),
    h('div', { class: 'field' }, h('label', { for: meter.id }, 'Meter'), meter))
  if (active) view.fields.querySelector<HTMLElement>(`#${CSS.escape(active)}`)?.focus()
}

function draw(view: View): void {
  const key = JSON.stringify([view.slots, view.filter, view.whole])
  if (key === view.drawn) return
  view.drawn = key
  render(view.notice, notices(view.context.session, view.slots))
  if (!view.fields.contains(document.activeElement)) drawFields(view)
  const found = fitting(view.slots, view.filter)
  keepingFocus(view.body, () => render(view.body, stateFilter(view), view.slots.length === 0
    ? empty('No usage, report or carry in this range.', h('p', {},
      'Choose other days, or see what was recorded on the ',
      h('a', { href: format(['events']) }, 'events’ page'), '.'))
    : found.length === 0 ? empty('No slot is in this state.') : tables(view, found)))
}

function stateFilter(view: View): HTMLElement {
  const choose = (state: State | '') => change(view, { state })
  const button = (state: State | '', label: Child, count: number) => h('button', {
    type: 'button', 'aria-pressed': String(view.filter.state === state), class: 'chip',
      title: state && meaning(state),
    'data-id': `state-${state}`, onclick: () => choose(state),
  }, label, ` ${count}`)
  return h('div', { class: 'chips', role: 'group', 'aria-label': 'State' }, button('', 'all',
    view.slots.length),
    countsOf(view.slots).map(([state, n]) => button(state, state, n)))
}

function tables(view: View, found: Slot[]): Child[] {
  const shown = view.whole ? found : found.slice(0, shownMax)
  return [
    table('Sums by meter', [
      { name: 'Meter', cell: (m) => meterName(m.meter) },
      { name: 'Slots', cell: (m) => m.slots, numeric: true },
      { name: 'Billable', cell: (m) => units(m.billable, m.unit), numeric: true },
      { name: 'Stripe holds', cell: (m) => units(m.reported, m.unit), numeric: true },
      { name: 'Difference', cell: (m) => units(m.billable - m.reported, m.unit), numeric: true },
    ], sumsOf(found), { class: 'sums' }),
    table('Slots, the newest hour first', [
      {
        name: 'Hour (UTC)',
        cell: (s) =>
          h('a', { href: slotHash(s), class: 'row-link', 'data-id': s.window_start + s.meter }, hourText(s.window_start)),
      },
      { name: 'Meter', cell: (s) => meterName(s.meter), narrow: true },
      {
        name: 'State',
        cell: (s) =>
          [stateBadge(s.state), s.closed && badge('invoiced'), s.unpriced > 0 && badge(`${s.unpriced} unpriced`, 'warn')],
      },
      { name: 'Billable', cell: (s) => units(s.billable_units, s.unit), numeric: true },
      { name: 'Stripe holds', cell: (s) => units(s.reported_units, s.unit), numeric: true },
      {
        name: 'Difference',
        cell: (s) =>
          difference(s) === 0n ? h('span', { class: 'muted' }, 'none') : units(difference(s), s.unit), numeric: true,
      },
      {
        name: 'Revision',
        cell: (s) =>
          s.revision === 0 ? h('span', { class: 'muted' }, 'not told') : s.revision, numeric: true, narrow: true,
      },
    ], shown, { class: 'slots' }),
    found.length > shown.length && h('button', {
      type: 'button', onclick: () => { view.whole = true; draw(view) },
    }, `Show all ${found.length} slots`),
  ]
}
