// The two charts of an agent: its usage by type, what it cost by model.

import type { UsageRow } from '../../api'
import { decimal, short, sum, text, usd, zero, type Decimal } from '../../decimal'
import { h, render } from '../../dom'
import { browserZone, instant } from '../../time'
import { chart, type Chart, type ChartOptions } from '../../ui/chart'
import { amount, money } from '../../ui/figures'
import { table } from '../../ui/table'
import type { Anomaly } from './anomalies'
import type { Found } from './one'
import { isTokens, pivot, typesOf, type Pivot } from './totals'

export interface Card {
  element: HTMLElement
  show(found: Found): void
  mark(anomalies: Anomaly[]): void
  destroy(): void
}

const tokens = 'Tokens'

// A frame is a card with a chart that is made at the first answer.
function frame(title: string, ...above: Node[]) {
  const plot = h('div', { class: 'chart-place' })
  const numbers = h('div')
  const element = h('section', { class: 'card', hidden: true }, h('div', { class: 'page-head' }, h('h2', {},
    title), ...above), plot, numbers)
  let made: Chart | undefined
  const draw = (o: ChartOptions) => {
    if (made) { made.update(o); return }
    made = chart(o)
    render(plot, made.element)
  }
  return { element, numbers, draw, destroy: () => made?.destroy() }
}

function optionsOf(found: Found, p: Pivot, label: string, unit: (d: Decimal) => string,
  exact: (d: Decimal) => string,
  marks: Anomaly[]): ChartOptions {
  return {
    label, times: found.times, end: found.end, series: p.series, stacked: true, zone: browserZone,
      height: 220,
    format: (v) => unit(decimal(v.toFixed(6))),
    exact: (s, b) => exact(p.exact[s]?.[b] ?? zero),
    total: (b) => exact(p.exact.reduce((all, line) => all + (line[b] ?? zero), zero)),
    bucket: (at) => instant(new Date(at * 1000)),
    marks: marks.map((a) => Date.parse(a.hour) / 1000 + 1800), // the middle of the hour
  }
}

// usageCard shows tokens together, and each other usage type by itself: seconds are no tokens.
export function usageCard(): Card {
  const choice = h('select', { id: 'agent-type', onchange: () => { if (last) show(last) } })
  const pick = h('div', { class: 'actions' }, h('label', { for: choice.id }, 'Shown'), choice)
  const card = frame('Usage by type', pick)
  let last: Found | undefined
  let marks: Anomaly[] = []
  const show = (found: Found) => {
    last = found
    const types = typesOf(found.types.rows)
    if (types.length === 0) return
    const others = types.filter((t) => !isTokens(t.type)).map((t) => t.type)
    const offered = [...(others.length < types.length ? [tokens] : []), ...others]
    const chosen = offered.includes(choice.value) ? choice.value : offered[0]!
    render(choice, offered.map((o) => h('option', { value: o, selected: o === chosen }, o)))
    pick.hidden = offered.length < 2
    const fits = (row: UsageRow) => chosen === tokens ? isTokens(String(row['usage_type']))
      : row['usage_type'] === chosen
    const p = pivot(found.types.rows.filter(fits), 'usage_type', found.times,
      (r) => decimal(r.quantity ?? '0'), 'none')
    card.draw(optionsOf(found, p, `${chosen} of this agent over time, by usage type.`, short, (d) => text(d),
      marks.filter((a) => chosen === tokens ? isTokens(a.usage_type) : a.usage_type === chosen)))
    render(card.numbers, table('Usage by type', [
      { name: 'Usage type', cell: (t) => t.type },
      { name: 'Quantity', cell: (t) => amount(t.quantity), numeric: true },
      { name: 'Events', cell: (t) => amount(t.events), numeric: true },
      { name: 'Billed', cell: (t) => money(t.cost), numeric: true },
    ], types))
  }
  return { ...card, show, mark: (found) => { marks = found; if (last) show(last) } }
}

// costCard shows what the agent cost by model.
export function costCard(): Card {
  const card = frame('Cost by model')
  let last: Found | undefined
  let marks: Anomaly[] = []
  const show = (found: Found) => {
    last = found
    const p = pivot(found.models.rows, 'model', found.times, (r) => decimal(r.billed_cost_usd), '(no model)')
    if (p.series.length === 0) return
    const cost = sum(found.models.rows.map((r) => r.billed_cost_usd))
    card.draw(optionsOf(found, p, `What this agent cost over time, by model; together ${usd(cost)}.`, usd,
      (d) => `$${text(d)}`, marks))
    const models = p.series.map((s, i) => {
      const rows = found.models.rows.filter((r) => (r.other ? 'others'
        : String(r['model'] ?? '') || '(no model)') === s.label)
      return {
        model: s.label, cost: p.exact[i]!.reduce((all, v) => all + v, zero),
        events: rows.reduce((n, r) => n + (r.events ?? 0), 0), unpriced: rows.reduce((n,
          r) => n + r.unpriced_events, 0),
      }
    })
    render(card.numbers, table('Cost by model', [
      { name: 'Model', cell: (m) => m.model },
      { name: 'Events', cell: (m) => amount(m.events), numeric: true },
      { name: 'Billed', cell: (m) => money(m.cost), numeric: true },
      {
        name: 'Unpriced measurements',
        cell: (m) =>
          m.unpriced > 0 ? amount(m.unpriced) : h('span', { class: 'muted' }, 'none'), numeric: true,
      },
    ], models))
  }
  return { ...card, show, mark: (found) => { marks = found; if (last) show(last) } }
}
