// The question that a URL is: range, zone, granularity, group by, filters. Everything here is pure,
// so that both ways are tested: a hash makes a question, and a question the same hash.

import { date, days } from './time'
import { dayOf, instantOf, zoneValid } from './zone'

export const granularities = ['15m', 'hour', 'day', 'week', 'month', 'total'] as const
export type Granularity = (typeof granularities)[number]

export const dimensions = [
  'agent_id', 'user_id', 'service', 'channel', 'api_name', 'endpoint', 'provider', 'model', 'purpose',
  'chargeable', 'usage_type',
] as const
export type Dimension = (typeof dimensions)[number]

export const measures = ['billed_cost', 'provider_cost', 'quantity', 'events'] as const
export type Measure = (typeof measures)[number]

export const orders = ['billed_cost', 'quantity', 'events'] as const
export type Order = (typeof orders)[number]

export const presets = ['24h', '7d', '30d', '90d'] as const
export type Preset = (typeof presets)[number]

// Token types are disjoint, so that their sum is what a model read and wrote.
export const tokenTypes = ['INPUT', 'OUTPUT', 'CACHED_INPUT', 'CACHE_WRITE', 'REASONING', 'OPENAI_TOKENS']

// Range is a preset that moves along with time, or two ends: dates or instants, "to" exclusive.
export interface Range { preset: Preset | ''; from: string; to: string }

export interface Question {
  range: Range
  zone: string
  granularity: Granularity | '' // "" chooses by the range
  groupBy: Dimension[]
  filters: Map<Dimension, string[]>
  top: number // 0: all
  order: Order
  measure: Measure
  chart: 'bars' | 'lines'
  organization: string
}

export function question(zone: string): Question {
  return {
    range: { preset: '7d', from: '', to: '' }, zone, granularity: '', groupBy: ['model'], filters: new Map(),
    top: 0, order: 'billed_cost', measure: 'billed_cost', chart: 'bars', organization: '',
  }
}

const among = <T extends string>(all: readonly T[], text: string | null): T | undefined =>
  all.find((each) => each === text)

// rangeOf reads range, from and to; what is none is the preset.
export function rangeOf(p: URLSearchParams, preset: Preset): Range {
  const named = among(presets, p.get('range'))
  const from = p.get('from') ?? ''
  const to = p.get('to') ?? ''
  if (named || from === '' && to === '') return { preset: named ?? preset, from: '', to: '' }
  return { preset: '', from, to }
}

// zoneOf reads tz; a zone that the browser does not know could not be shown.
export function zoneOf(p: URLSearchParams, zone: string): string {
  const named = p.get('tz') ?? ''
  return named !== '' && zoneValid(named) ? named : zone
}

// writeRange puts a range into parameters.
export function writeRange(p: URLSearchParams, range: Range): void {
  if (range.preset !== '') p.set('range', range.preset)
  else {
    p.set('from', range.from)
    p.set('to', range.to)
  }
}

// read makes the question of a URL. What the URL does not say is as in question(); what nobody
// knows is passed over here, because the form shows what is asked.
export function read(p: URLSearchParams, zone: string): Question {
  const q = question(zoneOf(p, zone))
  q.range = rangeOf(p, '7d')
  q.granularity = among(granularities, p.get('granularity')) ?? ''
  if (p.has('group_by')) {
    const named = (p.get('group_by') ?? '').split(',').map((d) => among(dimensions, d))
    q.groupBy = [...new Set(named.filter((d) => d !== undefined))]
  }
  for (const d of dimensions) {
    const values = [...new Set(p.getAll(`filter.${d}`))].slice(0, 100)
    if (values.length > 0) q.filters.set(d, values)
  }
  const top = p.get('top') ?? ''
  if (/^[1-9]\d{0,3}$/.test(top)) q.top = Math.min(Number(top), 1000)
  q.order = among(orders, p.get('order_by')) ?? q.order
  q.measure = among(measures, p.get('measure')) ?? q.measure
  if (p.get('chart') === 'lines') q.chart = 'lines'
  q.organization = p.get('organization_id') ?? ''
  return q
}

// write makes the parameters of a URL that read makes the same question of.
export function write(q: Question): URLSearchParams {
  const p = new URLSearchParams()
  writeRange(p, q.range)
  p.set('tz', q.zone)
  if (q.granularity !== '') p.set('granularity', q.granularity)
  p.set('group_by', q.groupBy.join(','))
  for (const d of dimensions) for (const value of q.filters.get(d) ?? []) p.append(`filter.${d}`, value)
  if (q.top > 0) p.set('top', String(q.top))
  if (q.order !== 'billed_cost') p.set('order_by', q.order)
  if (q.measure !== 'billed_cost') p.set('measure', q.measure)
  if (q.chart !== 'bars') p.set('chart', q.chart)
  if (q.organization !== '') p.set('organization_id', q.organization)
  return p
}

// ends are a range as the API takes it. A preset of days has whole days of the zone, today among
// them; the last 24 hours are whole hours.
export function ends(range: Range, zone: string, now: Date): { from: string; to: string } {
  if (range.preset === '') return { from: range.from, to: range.to }
  if (range.preset === '24h') {
    const hour = 3_600_000
    const to = Math.floor(now.getTime() / hour) * hour + hour
    return { from: iso(to - 24 * hour), to: iso(to) }
  }
  const today = date(now, zone)
  return { from: days(today, 1 - Number.parseInt(range.preset, 10)), to: days(today, 1) }
}

// iso writes an instant of milliseconds without a fraction where it has none.
export function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('.000Z', 'Z')
}

// fixed is the question with its range as two ends: tomorrow it still shows the same.
export function fixed(q: Question, now: Date): Question {
  return { ...q, range: { preset: '', ...ends(q.range, q.zone, now) } }
}

const isDate = /^\d{4}-\d{2}-\d{2}$/

// seconds is an end as an instant, NaN for what is neither a date nor an instant.
export function seconds(end: string, zone: string): number {
  if (isDate.test(end)) return Number.isNaN(Date.parse(end)) ? NaN : instantOf(end, zone)
  return /^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/i.test(end) ? Date.parse(end) / 1000 : NaN
}

// granularityOf is what the question says, or what makes a chart of 24 to 200 bars.
export function granularityOf(q: Question, now: Date): Granularity {
  if (q.granularity !== '') return q.granularity
  const { from, to } = ends(q.range, q.zone, now)
  const length = (seconds(to, q.zone) - seconds(from, q.zone)) / 86_400
  if (length <= 0.5) return '15m'
  if (length <= 8) return 'hour'
  if (length <= 186 || Number.isNaN(length)) return 'day'
  return length <= 1100 ? 'week' : 'month'
}

export type Parameters = Record<string, string | number | string[] | undefined>

// parameters are what the API is asked.
export function parameters(q: Question, now: Date): Parameters {
  const asked: Parameters = {
    ...ends(q.range, q.zone, now), tz: q.zone, granularity: granularityOf(q, now),
    group_by: q.groupBy.join(','), organization_id: q.organization,
  }
  for (const [d, values] of q.filters) asked[`filter.${d}`] = values
  if (q.top > 0 && q.groupBy.length > 0) {
    asked['top'] = q.top
    asked['order_by'] = q.order
  }
  return asked
}

// summable tells whether quantities of the answer are of one usage type in each row.
export function summable(q: Question): boolean {
  return q.groupBy.includes('usage_type') || q.filters.get('usage_type')?.length === 1
}

// stackable tells whether the measure of several series may be added up: quantities of one usage
// type or of tokens, and events where each is in one series only.
export function stackable(q: Question, usageTypes: string[]): boolean {
  const types = q.groupBy.includes('usage_type') ? new Set(usageTypes) : new Set<string>()
  if (q.measure === 'events') return types.size < 2
  return q.measure !== 'quantity' || types.size < 2 || [...types].every((t) => tokenTypes.includes(t))
}

// curl is the question for a shell; the token is in $TOKEN there.
export function curl(q: Question, origin: string, now: Date): string {
  const quoted = (text: string) => `'${text.replace(/'/g, `'\\''`)}'`
  const data = Object.entries(parameters(fixed(q, now), now)).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).filter((v) => v !== undefined && (v !== '' || name.startsWith('filter.')))
      .map((v) => `  --data-urlencode ${quoted(`${name}=${String(v)}`)}`))
  return [`curl -sG ${quoted(`${origin}/v1/usage/query`)} -H "Authorization: Bearer $TOKEN"`, ...data].join(' \\\n')
}

// hashOf is the address of Explore with a question; what is left out is as question() has it.
export function hashOf(q: Partial<Question> & { zone: string }): string {
  return `#/explore?${write({ ...question(q.zone), ...q }).toString()}`
}

// lastDay is the last day within a range, for people, who count it: "to" is exclusive.
export function lastDay(to: string, zone: string): string {
  return isDate.test(to) ? days(to, -1) : dayOf(seconds(to, zone) - 1, zone)
}
