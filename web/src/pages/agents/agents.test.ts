import { expect, test } from 'vitest'
import type { UsageRow } from '../../api'
import { decimal } from '../../decimal'
import type { Anomaly } from './anomalies'
import { join } from './anomalies'
import { isTokens, pivot, totalsOf, typesOf } from './totals'

const row = (time: string, rest: Partial<UsageRow>): UsageRow => ({
  time, quantity: null, events: 1, provider_cost_usd: '0', billed_cost_usd: '0', unpriced_events: 0, ...rest,
})

const days = ['2026-11-20T00:00:00Z', '2026-11-21T00:00:00Z'].map((t) => Date.parse(t) / 1000)

test('an agent costs the sum of its days, exactly; usage of nobody and of the others is not an agent', () => {
  const totals = totalsOf([
    row('2026-11-20T01:00:00+01:00', { agent_id: 'a', billed_cost_usd: '0.1', events: 2 }),
    row('2026-11-21T01:00:00+01:00', { agent_id: 'a', billed_cost_usd: '0.2', unpriced_events: 3 }),
    row('2026-11-21T01:00:00+01:00', { agent_id: '', billed_cost_usd: '9' }),
    row('2026-11-21T01:00:00+01:00', { agent_id: null, billed_cost_usd: '9', other: true }),
  ], days)
  expect([...totals.keys()]).toEqual(['a'])
  expect(totals.get('a')).toMatchObject({
    cost: decimal('0.3'), events: 3, unpriced: 3, daily: [0.1, 0.2], lastDay: '2026-11-21T01:00:00+01:00',
  })
})

test('tokens are told from what is none', () => {
  for (const type of ['INPUT', 'CACHED_INPUT', 'CACHE_WRITE', 'OUTPUT', 'REASONING', 'OPENAI_TOKENS']) {
    expect(isTokens(type), type).toBe(true)
  }
  for (const type of ['VAPI_SECONDS', 'SESSIONS', 'IMPORTED_CHARS', 'COMPLETIONS']) expect(isTokens(type),
    type).toBe(false)
})

test('types add up over the buckets, the dearest first', () => {
  expect(typesOf([
    row('2026-11-20T00:00:00Z', { usage_type: 'INPUT', quantity: '0.1', billed_cost_usd: '1' }),
    row('2026-11-21T00:00:00Z', { usage_type: 'INPUT', quantity: '0.2', billed_cost_usd: '1' }),
    row('2026-11-21T00:00:00Z', { usage_type: 'OUTPUT', quantity: '5', billed_cost_usd: '3' }),
  ]).map((t) => [t.type, t.quantity])).toEqual([['OUTPUT', decimal('5')], ['INPUT', decimal('0.3')]])
})

test('a series has a value for every bucket', () => {
  const p = pivot([
    row('2026-11-21T00:00:00Z', { model: 'x', billed_cost_usd: '1' }),
    row('2026-11-20T00:00:00Z', { model: '', billed_cost_usd: '2' }),
    row('2026-11-21T00:00:00Z', { model: null, billed_cost_usd: '4', other: true }),
  ], 'model', days, (r) => decimal(r.billed_cost_usd), '(no model)')
  expect(p.series).toEqual([
    { label: 'others', values: [0, 4] }, { label: '(no model)', values: [2, 0] }, { label: 'x', values: [0,
      1] },
  ])
})

test('an odd hour that two questions found is told once', () => {
  const odd = (hour: string): Anomaly => ({
    agent_id: 'a', hour, usage_type: 'INPUT', quantity: '9', expected: '1', low: '0', high: '2',
      hours_compared: 8, score: 9,
  })
  const found = join([{ anomalies: [odd('2026-11-20T11:00:00Z')], more: false },
    { anomalies: [odd('2026-11-21T11:00:00Z'), odd('2026-11-20T11:00:00Z')], more: true }])
  expect(found.anomalies.map((a) => a.hour)).toEqual(['2026-11-21T11:00:00Z', '2026-11-20T11:00:00Z'])
  expect(found.more).toBe(true)
})
