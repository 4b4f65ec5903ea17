// What answers of /v1/usage/query come to for each agent, and as series of a chart.

import type { UsageRow } from '../../api'
import { decimal, number, zero, type Decimal } from '../../decimal'
import type { Series } from '../../ui/chart'

export interface Total {
  id: string
  cost: Decimal
  events: number
  unpriced: number
  daily: number[] // pixels alone: what each day cost
  lastDay: string // the start of the last day with usage; "" for none
}

// totalsOf adds up rows by day and agent; usage without an agent is nobody's and left out.
export function totalsOf(rows: UsageRow[], days: number[]): Map<string, Total> {
  const totals = new Map<string, Total>()
  const place = new Map(days.map((at, i) => [at, i]))
  for (const row of rows) {
    const id = String(row['agent_id'] ?? '')
    if (id === '' || row.other) continue
    let total = totals.get(id)
    if (!total) {
      total = { id, cost: zero, events: 0, unpriced: 0, daily: days.map(() => 0), lastDay: '' }
      totals.set(id, total)
    }
    const cost = decimal(row.billed_cost_usd)
    total.cost += cost
    total.events += row.events ?? 0
    total.unpriced += row.unpriced_events
    const at = place.get(Date.parse(row.time) / 1000)
    if (at !== undefined) total.daily[at]! += number(cost)
    if (row.time > total.lastDay) total.lastDay = row.time
  }
  return totals
}

// isTokens tells whether quantities of a usage type are tokens, which may be added to one another.
export function isTokens(type: string): boolean {
  return /TOKENS?$|^(CACHED_)?INPUT$|^CACHE_WRITE$|^OUTPUT$|^REASONING$/.test(type)
}

export interface TypeTotal { type: string; quantity: Decimal; cost: Decimal; events: number; unpriced: number }

// typesOf adds up rows by usage type, the dearest first.
export function typesOf(rows: UsageRow[]): TypeTotal[] {
  const totals = new Map<string, TypeTotal>()
  for (const row of rows) {
    const type = String(row['usage_type'] ?? '')
    const t = totals.get(type) ?? { type, quantity: zero, cost: zero, events: 0, unpriced: 0 }
    t.quantity += decimal(row.quantity ?? '0')
    t.cost += decimal(row.billed_cost_usd)
    t.events += row.events ?? 0
    t.unpriced += row.unpriced_events
    totals.set(type, t)
  }
  return [...totals.values()].sort((a, b) => a.cost < b.cost ? 1 : a.cost > b.cost ? -1 : a.type < b.type
    ? -1 : 1)
}

export interface Pivot { series: Series[]; exact: Decimal[][] }

// pivot makes a series of each value of a dimension, the greatest first, over the buckets' starts.
export function pivot(
  rows: UsageRow[], dimension: string, times: number[], value: (row: UsageRow) => Decimal, none: string,
): Pivot {
  const place = new Map(times.map((at, i) => [at, i]))
  const lines = new Map<string, { sum: Decimal; values: Decimal[] }>()
  for (const row of rows) {
    const at = place.get(Date.parse(row.time) / 1000)
    if (at === undefined) continue
    const name = row.other ? 'others' : String(row[dimension] ?? '') || none
    const line = lines.get(name) ?? { sum: zero, values: times.map(() => zero) }
    const v = value(row)
    line.sum += v
    line.values[at]! += v
    lines.set(name, line)
  }
  const sorted = [...lines].sort(([, a], [, b]) => a.sum < b.sum ? 1 : -1)
  return {
    series: sorted.map(([label, line]) => ({ label, values: line.values.map(number) })),
    exact: sorted.map(([, line]) => line.values),
  }
}
