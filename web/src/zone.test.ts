import { describe, expect, test } from 'vitest'
import { buckets, dayOf, instantOf, offset, secondOfDay, zones } from './zone'

const at = (text: string) => Date.parse(text) / 1000

describe('zone', () => {
  test('knows offsets, of halves and quarters of an hour too', () => {
    expect(offset(at('2026-01-01T00:00:00Z'), 'Asia/Kathmandu')).toBe(5.75 * 3600)
    expect(offset(at('2026-07-01T00:00:00Z'), 'Europe/Rome')).toBe(7200)
    expect(offset(at('1969-12-31T23:59:59Z'), 'UTC')).toBe(0)
  })
  test('finds where days begin', () => {
    expect(instantOf('2026-03-29', 'Europe/Rome')).toBe(at('2026-03-28T23:00:00Z'))
    expect(instantOf('2026-03-30', 'Europe/Rome')).toBe(at('2026-03-29T22:00:00Z'))
    expect(instantOf('2026-03-29', 'Europe/Rome', 2.5 * 3600)).toBe(at('2026-03-29T01:30:00Z')) // skipped
    expect(instantOf('2026-10-25', 'Europe/Rome', 2.5 * 3600)).toBe(at('2026-10-25T00:30:00Z')) // the first
    expect(instantOf('2018-11-04', 'America/Sao_Paulo')).toBe(at('2018-11-04T03:00:00Z')) // no midnight
    expect(instantOf('2026-11-22', 'Pacific/Kiritimati')).toBe(at('2026-11-21T10:00:00Z'))
  })
  test('reads the clock', () => {
    expect(dayOf(at('2026-11-21T23:30:00Z'), 'Europe/Rome')).toBe('2026-11-22')
    expect(secondOfDay(at('2026-11-21T23:30:00Z'), 'Europe/Rome')).toBe(1800)
  })
  test('has UTC first, and once', () => {
    expect(zones()[0]).toBe('UTC')
    expect(zones().filter((z) => z === 'UTC')).toHaveLength(1)
  })
})

describe('buckets', () => {
  test('a day of 23 hours has 23, and one of 25 has 25', () => {
    const of = (day: string, next: string) => buckets(
      instantOf(day, 'Europe/Rome'), instantOf(next, 'Europe/Rome'), 'hour', 'Europe/Rome').length
    expect(of('2026-03-29', '2026-03-30')).toBe(23)
    expect(of('2026-10-25', '2026-10-26')).toBe(25)
  })
  test('days follow the calendar', () => {
    const found = buckets(at('2026-03-27T23:00:00Z'), at('2026-03-30T22:00:00Z'), 'day', 'Europe/Rome')
    expect(found.map((s) => new Date(s * 1000).toISOString())).toEqual([
      '2026-03-27T23:00:00.000Z', '2026-03-28T23:00:00.000Z', '2026-03-29T22:00:00.000Z'])
  })
  test('weeks start on Monday, before the range where they must', () => {
    const found = buckets(at('2026-11-22T00:00:00Z'), at('2026-11-24T00:00:00Z'), 'week', 'UTC')
    expect(found.map((s) => dayOf(s, 'UTC'))).toEqual(['2026-11-16', '2026-11-23'])
  })
  test('months', () => {
    const found = buckets(at('2025-12-15T00:00:00Z'), at('2026-03-01T00:00:00Z'), 'month', 'UTC')
    expect(found.map((s) => dayOf(s, 'UTC'))).toEqual(['2025-12-01', '2026-01-01', '2026-02-01'])
  })
  test('hours are those of the clock', () => {
    const found = buckets(at('2026-11-22T00:00:00Z'), at('2026-11-22T02:00:00Z'), 'hour', 'Asia/Kolkata')
    expect(found[0]).toBe(at('2026-11-21T23:30:00Z'))
  })
  test('nothing in an empty range', () => expect(buckets(5, 5, 'hour', 'UTC')).toEqual([]))
})
