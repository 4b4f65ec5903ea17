import { expect, test } from 'vitest'
import { cents, inOrder, margin } from './standing'
import type { Rate } from './things'

const rate = (model: string, from: string): Rate => ({
  id: `${model} ${from}`, model, usage_type: 'INPUT', provider: '', from,
  provider_usd_per_million: '1', billed_usd_per_million: '1.3',
})

test('of a model one rate is in force', () => {
  const now = Date.parse('2026-06-01T00:00:00Z')
  const rows = inOrder([
    rate('b', '2025-01-01T00:00:00Z'), rate('a', '2024-01-01T00:00:00Z'),
    rate('a', '2026-06-01T00:00:00Z'), rate('a', '2026-07-01T00:00:00Z'),
  ], now)
  expect(rows.map((r) => [r.model, r.from.slice(0, 7), r.standing])).toEqual([
    ['a', '2026-07', 'to come'], ['a', '2026-06', 'in force'], ['a', '2024-01', 'replaced'],
    ['b', '2025-01', 'in force'],
  ])
  expect(rows[2]!.until).toBe('2026-06-01T00:00:00Z')
})

test('a margin is told of the cost', () => {
  expect(margin('0.15', '0.195')).toBe('+30 %')
  expect(margin('833.333333', '1100')).toBe('+32 %')
  expect(margin('8', '7')).toBe('−12.5 %')
  expect(margin('2', '2')).toBe('0 %')
  expect(margin('0', '200')).toBe('–')
})

test('a price has cents, and all its digits', () => {
  expect(['0', '1.3', '0.195', '833.333333'].map(cents)).toEqual(['0.00', '1.30', '0.195', '833.333333'])
})
