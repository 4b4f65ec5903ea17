// One agent: what it used by usage type and by model, hours outside its rhythm, its recent events.

import { get, query, type UsageAnswer } from '../../api'
import { decimal, sum, text, usd, zero } from '../../decimal'
import { h, render } from '../../dom'
import { every, type Context } from '../../page'
import { ends, granularityOf, hashOf, presets, question, rangeOf, seconds, type Preset } from '../../question'
import { format, replace } from '../../router'
import { browserZone } from '../../time'
import { amount, command, money } from '../../ui/figures'
import { tiles } from '../../ui/pairs'
import { empty, failed, loading } from '../../ui/state'
import { buckets } from '../../zone'
import { keepingFocus } from '../events/list'
import { arrows, eventTable } from '../events/row'
import type { EventPage } from '../events/event'
import { who, type Who } from '../who'
import { anomalyCard, anomaliesOf, type Anomalies } from './anomalies'
import { costCard, usageCard, type Card } from './charts'
import { identity } from './list'
import { isTokens, typesOf } from './totals'

const labels: Record<Preset, string> = {
  '24h': 'Last 24 hours', '7d': 'Last 7 days', '30d': 'Last 30 days', '90d': 'Last 90 days',
}

export interface Found { types: UsageAnswer; models: UsageAnswer; times: number[]; end: number; granularity: string }

interface View {
  context: Context
  id: string
  who: Who
  preset: Preset
  figures: HTMLElement
  charts: Card[]
  shown: string
}

// openAgent draws an agent and follows it.
export async function openAgent(context: Context, id: string): Promise<void> {
  const { into, session, signal } = context
  const names = await who(session)
  if (signal.aborted) return
  const view: View = {
    context, id, who: names, preset: rangeOf(context.route.parameters, '7d').preset || '7d',
    figures: h('div', {}, loading(2)), charts: [usageCard(), costCard()], shown: '',
  }
  const anomalies = h('div', {}, loading(2))
  const events = h('section', { class: 'card' }, h('h2', {}, 'Recent events'), loading(5))
  render(into, head(view, () => { view.shown = ''; void ask(view); void odd(view, anomalies) }),
    view.figures, ...view.charts.map((c) => c.element), anomalies, events)
  signal.addEventListener('abort', () => { for (const c of view.charts) c.destroy() })
  arrows(events)
  every(10, signal, () => ask(view))
  every(120, signal, () => odd(view, anomalies))
  let drawn = ''
  every(3, signal, async () => { drawn = await recent(view, events, drawn) })
}

function head(view: View, changed: () => void): HTMLElement {
  const { session } = view.context
  const name = view.who.agent(view.id)
  const explore = h('a', { class: 'button' }, 'Explore')
  const link = () => explore.setAttribute('href', hashOf({
    zone: browserZone, range: { preset: view.preset, from: '', to: '' }, groupBy: ['model'],
    filters: new Map([['agent_id', [view.id]]]),
  }))
  link()
  const range = h('select', {
    id: 'agent-range',
    onchange: () => {
      view.preset = range.value as Preset
      replace(['agents', view.id], new URLSearchParams({ range: view.preset }))
      link()
      changed()
    },
  }, presets.map((p) => h('option', { value: p, selected: p === view.preset }, labels[p])))
  return h('div', { class: 'page-head' },
    h('div', { class: 'title' },
      session.agent ? null : h('a', { href: format(['agents']), class: 'crumb' }, 'Agents'),
      h('h1', {}, name ?? 'Agent'), identity(view.id)),
    h('div', { class: 'actions' },
      h('label', { for: range.id, class: 'visually-hidden' }, 'Range'), range, explore,
      h('a', { class: 'button', href: format(['events'], new URLSearchParams({ agent_id: view.id })) },
        'Its events')))
}

async function ask(view: View): Promise<void> {
  const { signal } = view.context
  const preset = view.preset
  const range = { preset, from: '', to: '' }
  const now = new Date()
  const { from, to } = ends(range, browserZone, now)
  const granularity = granularityOf({ ...question(browserZone), range }, now)
  const path = `/v1/agents/${encodeURIComponent(view.id)}/usage`
  const asked = { from, to, tz: browserZone, granularity }
  try {
    const [types, models] = await Promise.all([
      get<UsageAnswer>(path + query({ ...asked, group_by: 'usage_type' }), signal),
      get<UsageAnswer>(path + query({ ...asked, group_by: 'model', top: 7, order_by: 'billed_cost' }),
        signal),
    ])
    if (preset !== view.preset || signal.aborted) return
    const key = JSON.stringify([asked, types.rows, models.rows])
    if (key === view.shown) return
    view.shown = key
    const start = seconds(from, browserZone)
    const end = seconds(to, browserZone)
    const times = buckets(start, end, granularity, browserZone)
    draw(view, { types, models, times, end, granularity })
  } catch (error) {
    if (signal.aborted || view.shown !== '') return
    render(view.figures, failed(error, () => { void ask(view) }))
    for (const c of view.charts) c.element.hidden = true
  }
}

function draw(view: View, found: Found): void {
  for (const c of view.charts) { c.element.hidden = found.types.rows.length === 0; c.show(found) }
  if (found.types.rows.length === 0) {
    render(view.figures, empty(`No usage in the ${labels[view.preset].toLowerCase()}.`,
      h('p', {}, 'Choose a longer range, or send an event for it:'),
      command(`curl ${location.origin}/v1/events -H 'Agent-Secret-Key: ITS_SECRET' `
        + `-H 'Content-Type: application/json' -d '{"model": "gpt-4o-mini", "usage": {"INPUT": 1200}}'`)))
    return
  }
  const tokens = typesOf(found.types.rows).filter((t) => isTokens(t.type)).reduce((all,
    t) => all + t.quantity, zero)
  const cost = sum(found.models.rows.map((r) => r.billed_cost_usd))
  const provider = sum(found.models.rows.map((r) => r.provider_cost_usd))
  const events = found.models.rows.reduce((all, r) => all + (r.events ?? 0), 0)
  const unpriced = found.models.rows.reduce((all, r) => all + r.unpriced_events, 0)
  render(view.figures, tiles([
    ['Billed', h('span', { 'data-billed': text(cost) }, money(cost))],
    ['Provider cost', h('span', { title: `${text(provider)} USD` }, usd(provider))],
    ['Events', amount(decimal(String(events)))],
    ['Tokens', amount(tokens)],
    ...(unpriced > 0 ? [['Unpriced measurements', amount(unpriced)] as [string, HTMLElement]] : []),
  ]))
}

async function odd(view: View, into: HTMLElement): Promise<void> {
  const found = await anomaliesOf(view.id, view.preset, view.context.signal)
  if (view.context.signal.aborted) return
  render(into, anomalyCard(found))
  const marks = (found as Anomalies).anomalies ?? []
  for (const c of view.charts) c.mark(marks)
}

// recent draws the newest events and returns what it drew, so that the same is not drawn again.
async function recent(view: View, into: HTMLElement, drawn: string): Promise<string> {
  const { signal } = view.context
  let page: EventPage
  try {
    page = await get<EventPage>(`/v1/events${query({ agent_id: view.id, limit: 15 })}`, signal)
  } catch (error) {
    if (drawn === '' && !signal.aborted) render(into, h('h2', {}, 'Recent events'), failed(error))
    throw error
  }
  const key = `events ${page.items.map((e) => `${e.id}.${e.revision}`).join(' ')}`
  if (key === drawn || signal.aborted) return drawn
  keepingFocus(into, () => render(into, h('h2', {}, 'Recent events'),
    page.items.length === 0 ? empty('No event of this agent is there to see.')
      : eventTable('The newest events of this agent', page.items, view.who, false)))
  return key
}
