// The answer as a chart, and what is to be said about it.

import { Failed, query, request, type UsageAnswer } from '../../api'
import { zero, type Decimal } from '../../decimal'
import type { Names } from '../../names'
import { parameters, stackable, type Question } from '../../question'
import { grouped, seriesOf, type Group } from '../../series'
import { instant } from '../../time'
import { axisMoney, axisQuantity } from '../../ui/axis'
import { bucketFormat } from '../../ui/bucket'
import type { ChartOptions } from '../../ui/chart'
import { buckets } from '../../zone'
import { brief, exactly, measured, measureNames, valueName } from './words'

const bytesMax = 16 << 20
const seriesMax = 8

// answerOf asks; an answer that a page cannot hold ends with a Failed that says what to do.
export async function answerOf(q: Question, signal: AbortSignal): Promise<UsageAnswer> {
  const ended = new AbortController()
  const either = AbortSignal.any([signal, ended.signal])
  const response = await request(`/v1/usage/query${query(parameters(q, new Date()))}`, { signal: either })
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  const parts: string[] = []
  let length = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return JSON.parse(parts.join('')) as UsageAnswer
    parts.push(value)
    length += value.length
    if (length <= bytesMax) continue
    await reader.cancel().catch(() => undefined)
    ended.abort()
    throw new Failed(413, 'The answer has more than 16 MB. Download it, or ask for the top, for fewer groups or wider buckets.')
  }
}

export interface Picture {
  chart: ChartOptions | null
  notes: string[] // what is drawn otherwise than one would think
  mixed: boolean // quantities are of several usage types, and there is nothing to draw
}

const separator = ' · '

export function pictureOf(answer: UsageAnswer, q: Question, known: Names): Picture {
  const from = Date.parse(answer.from) / 1000
  const to = Date.parse(answer.to) / 1000
  const types = answer.rows.filter((r) => !r.other).map((r) => String(r['usage_type'] ?? ''))
  const adds = stackable(q, types)
  const found = grouped(answer.rows, {
    times: buckets(from, to, answer.granularity, answer.timezone),
    key: (row) => JSON.stringify(q.groupBy.map((d) => row[d] ?? '')),
    label: (key) => labelOf(JSON.parse(key) as unknown[], q, known),
    value: (row) => measured(row, q.measure),
    most: seriesMax - 1,
  })
  const groups = adds ? found.groups : found.groups.filter((g) => !g.other)
  if (groups.length === 0) {
    return { chart: null, notes: [], mixed: answer.rows.length > 0 && q.measure === 'quantity' }
  }
  const notes: string[] = []
  if (found.gathered > 0) {
    notes.push(adds ? `The ${seriesMax - 1} greatest are drawn, and ${found.gathered} others together; the table has all.`
      : `The ${seriesMax - 1} greatest are drawn; the table has ${found.gathered} more.`)
  }
  if (!adds && q.chart === 'bars') {
    notes.push(q.measure === 'quantity' ? 'Quantities of different usage types are not added up, so these are lines.'
      : 'An event counts in each of its usage types, so these are lines.')
  }
  return { chart: chartOf(answer, q, found.times, groups, adds, to), notes, mixed: false }
}

function labelOf(values: unknown[], q: Question, known: Names): string {
  if (values.length === 0) return measureNames[q.measure]
  return values.map((v, i) => valueName(q.groupBy[i]!, v, known)).join(separator)
}

function chartOf(
  answer: UsageAnswer, q: Question, times: number[], groups: Group[], adds: boolean, end: number,
): ChartOptions {
  const zone = answer.timezone
  const money = q.measure === 'billed_cost' || q.measure === 'provider_cost'
  const all = (pick: (g: Group) => Decimal) => groups.reduce((sum, g) => sum + pick(g), zero)
  const sentence = `${measureNames[q.measure]}, ${instant(answer.from, zone)} to ${instant(answer.to, zone)}, ${zone}`
  const most = `${groups[0]!.label}: ${brief(groups[0]!.sum, q.measure)}`
  const now = Date.now() / 1000 // a line ends where the future begins
  const past = (v: number | null, i: number) => times[i]! > now ? null : v
  return {
    label: adds ? `${sentence}: ${brief(all((g) => g.sum), q.measure)} in all; most by ${most}.`
      : `${sentence}; most by ${most}.`,
    times, end, zone, stacked: adds && q.chart === 'bars', height: 320,
    series: seriesOf(groups).map((s) => ({ ...s, values: s.values.map(past) })),
    format: money ? axisMoney : axisQuantity,
    exact: (n, bucket) => exactly(groups[n]?.values[bucket] ?? zero, q.measure),
    bucket: bucketFormat(answer.granularity, zone),
    ...adds && groups.length > 1
      ? { total: (bucket: number) => exactly(all((g) => g.values[bucket] ?? zero), q.measure) } : {},
  }
}
