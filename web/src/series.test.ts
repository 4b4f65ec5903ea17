import { describe, expect, test } from 'vitest'
import type { UsageRow } from './api'
import { decimal, text } from './decimal'
import { difference, grouped, seriesOf } from './series'

const row = (time: string, model: string | null, cost: string, other = false): UsageRow => ({
  time, model, quantity: null, events: 1, provider_cost_usd: '0', billed_cost_usd: cost, unpriced_events: 0,
  ...other ? { other } : {},
})
const first = '2026-11-22T00:00:00+01:00'
const second = '2026-11-22T01:00:00+01:00'
const at = (time: string) => Date.parse(time) / 1000
const grouping = (most: number) => ({
  times: [at(first), at(second)], key: (r: UsageRow) => String(r['model']), label: (k: string) => k || '(none)',
  value: (r: UsageRow) => decimal(r.billed_cost_usd), most,
})
const sums = (rows: UsageRow[], most: number) =>
  grouped(rows, grouping(most)).groups.map((g) => [g.label, text(g.sum), ...g.values.map((v) => text(v))])

describe('grouped', () => {
  const rows = [row(first, 'a', '0.1'), row(first, 'b', '5'), row(second, 'a', '0.2'), row(second, '', '1'),
    row(second, 'd', '0.25')]
  test('exactly, the greatest first', () => {
    expect(sums(rows, 8)).toEqual([
      ['b', '5', '5', '0'], ['(none)', '1', '0', '1'], ['a', '0.3', '0.1', '0.2'], ['d', '0.25', '0', '0.25']])
  })
  test('the rest together', () => {
    expect(sums(rows, 2)).toEqual([
      ['b', '5', '5', '0'], ['(none)', '1', '0', '1'], ['Other', '0.55', '0.1', '0.45']])
    expect(grouped(rows, grouping(2)).gathered).toBe(2)
  })
  test('a rest of one keeps its name', () => {
    expect(sums(rows, 3).at(-1)?.[0]).toBe('d')
  })
  test('with what the server has gathered', () => {
    expect(sums([...rows, row(first, null, '3', true)], 3)).toContainEqual(['Other', '3.25', '3', '0.25'])
  })
  test('a bucket that nobody expected is there all the same', () => {
    expect(grouped([row('2026-11-21T00:00:00Z', 'a', '1')], grouping(8)).times).toHaveLength(3)
  })
  test('equal labels are told apart', () => {
    const { groups } = grouped(rows, { ...grouping(8), label: () => 'x' })
    expect(seriesOf(groups).map((s) => s.label)).toEqual(['x', 'x (2)', 'x (3)', 'x (4)'])
  })
  test('a group has one colour in two charts, and two groups of a chart have two', () => {
    const painted = new Map<string, number>()
    const colours = (models: string[]) => {
      const { groups } = grouped(models.map((m, i) => row(first, m, String(100 - i))), grouping(8))
      return Object.fromEntries(seriesOf(groups, painted).map((s) => [s.label, s.colour]))
    }
    const one = colours(['a', 'b', 'c'])
    const two = colours(['c', 'x', 'a', 'y'])
    expect([two['a'], two['c']]).toEqual([one['a'], one['c']])
    expect(new Set(Object.values(two)).size).toBe(4)
  })
})

describe('difference', () => {
  const of = (now: string, before: string) => difference(decimal(now), decimal(before)).text
  test('in percent', () => {
    expect(of('112.34', '100')).toBe('▲ 12.3 %')
    expect(of('50', '100')).toBe('▼ 50.0 %')
    expect(of('0', '100')).toBe('▼ 100.0 %')
    expect(of('100.01', '100')).toBe('± 0 %')
    expect(of('5000', '1')).toBe('▲ 499900 %')
  })
  test('with nothing', () => {
    expect(of('0', '0')).toBe('=')
    expect(of('1', '0')).toBe('new')
  })
})
