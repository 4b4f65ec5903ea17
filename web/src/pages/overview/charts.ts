// Cost and tokens over time, stacked by model.

import type { UsageAnswer, UsageRow } from '../../api'
import { decimal, short, text, usd, zero, type Decimal } from '../../decimal'
import { h, render } from '../../dom'
import { hashOf, tokenTypes } from '../../question'
import { grouped, seriesOf } from '../../series'
import { instant } from '../../time'
import { chart, type Chart, type ChartOptions } from '../../ui/chart'
import { bucketFormat } from '../../ui/bucket'
import { liveCard, type LiveCard } from '../../ui/live'
import { axisMoney, axisQuantity } from '../../ui/axis'
import { buckets } from '../../zone'
import { ask, granularity, type Scope } from './scope'

const seriesMax = 7

interface Kind {
  title: string
  format: (d: Decimal) => string
  axis: (value: number) => string
  value: (row: UsageRow) => Decimal | null
  ask: (s: Scope) => Promise<UsageAnswer>
  explore: (s: Scope) => string
}

const cost: Kind = {
  title: 'Cost by model',
  format: usd,
  axis: axisMoney,
  value: (row) => decimal(row.billed_cost_usd),
  ask: (s) => ask(s, { granularity: granularity(s), group_by: 'model', top: seriesMax, order_by: 'billed_cost' }),
  explore: (s) => hashOf({ ...shared(s), groupBy: ['model'], measure: 'billed_cost', top: seriesMax }),
}

const tokens: Kind = {
  title: 'Tokens by model',
  format: short,
  axis: axisQuantity,
  value: (row) => row.quantity === null ? null : decimal(row.quantity),
  ask: (s) => ask(s, {
    granularity: granularity(s), group_by: 'model,usage_type', 'filter.usage_type': tokenTypes, top: 200, order_by: 'events',
  }),
  explore: (s) => hashOf({
    ...shared(s), groupBy: ['model', 'usage_type'], measure: 'quantity', filters: new Map([['usage_type', tokenTypes]]),
  }),
}

const shared = (s: Scope) => ({ range: s.range, zone: s.zone, organization: s.organization })

export interface ChartCard { card: LiveCard; refresh(): Promise<void> }

// chartCards tells how many rows the cost has: without any, nothing was used.
export function chartCards(
  s: () => Scope, signal: AbortSignal, told: (rows: number) => void,
): ChartCard[] {
  const painted = new Map<string, number>()
  return [cost, tokens].map((kind) => {
    const link = h('a', { href: kind.explore(s()) }, 'Explore')
    const card = liveCard(kind.title, signal, 'chart-body', link)
    let drawn: Chart | undefined
    signal.addEventListener('abort', () => drawn?.destroy())
    const refresh = () => {
      link.setAttribute('href', kind.explore(s()))
      return card.refresh(() => kind.ask(s()), (answer) => {
        if (kind === cost) told(answer.rows.length)
        const options = optionsOf(kind, answer, s().zone, painted)
        if (!options) {
          drawn?.destroy()
          drawn = undefined
          return [h('p', { class: 'state empty' }, `No ${kind === cost ? 'usage' : 'tokens'} in this range.`)]
        }
        if (drawn && card.body.contains(drawn.element)) { drawn.update(options); return undefined }
        drawn = chart(options)
        render(card.body, drawn.element)
        return undefined
      })
    }
    return { card, refresh }
  })
}

function optionsOf(
  kind: Kind, answer: UsageAnswer, zone: string, painted: Map<string, number>,
): ChartOptions | undefined {
  const from = Date.parse(answer.from) / 1000
  const to = Date.parse(answer.to) / 1000
  const { times, groups } = grouped(answer.rows, {
    times: buckets(from, to, answer.granularity, zone),
    key: (row) => String(row['model'] ?? ''),
    label: (model) => model || '(no model)',
    value: kind.value,
    most: seriesMax,
  })
  if (groups.length === 0) return undefined
  const total = groups.reduce((all, g) => all + g.sum, zero)
  const range = `${instant(answer.from, zone)} to ${instant(answer.to, zone)}`
  const most = groups[0]!
  return {
    label: `${kind.title}, ${range}, ${zone}: ${kind.format(total)} in all, most by ${most.label}: ${kind.format(most.sum)}.`,
    times, end: to, series: seriesOf(groups, painted), stacked: true, format: kind.axis, zone,
    exact: (n, bucket) => exact(kind, groups[n]?.values[bucket] ?? zero),
    total: (bucket) => exact(kind, groups.reduce((all, g) => all + (g.values[bucket] ?? zero), zero)),
    bucket: bucketFormat(answer.granularity, zone),
  }
}

function exact(kind: Kind, value: Decimal): string {
  return kind === cost ? usd(value) : text(value)
}
