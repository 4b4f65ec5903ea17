import { describe, expect, test } from 'vitest'
import { query } from './api'
import {
  curl, ends, fixed, granularityOf, hashOf, parameters, question, read, seconds, stackable, summable, write, type Question,
} from './question'

const now = new Date('2026-11-22T22:40:00Z') // the 23rd in Rome, from 23:00
const full: Question = {
  range: { preset: '', from: '2026-03-01', to: '2026-04-01T12:00:00+02:00' }, zone: 'Asia/Kathmandu',
  granularity: 'week', groupBy: ['usage_type', 'model'],
  filters: new Map([['agent_id', ['']], ['model', ['a b', 'c&d=é', '../#?', 'x,y']]]),
  top: 20, order: 'events', measure: 'quantity', chart: 'lines', organization: 'o-1',
}

describe('a URL is a question', () => {
  const there = (q: Question) => read(new URLSearchParams(write(q).toString()), 'UTC')
  test('both ways', () => {
    expect(there(full)).toEqual(full)
    expect(there(question('Europe/Rome'))).toEqual(question('Europe/Rome'))
    expect(there({ ...full, groupBy: [] }).groupBy).toEqual([])
    expect(there({ ...full, range: { preset: '90d', from: '', to: '' } }).range.preset).toBe('90d')
  })
  test('what the URL does not say has a default', () => {
    expect(read(new URLSearchParams(''), 'Asia/Tokyo')).toEqual(question('Asia/Tokyo'))
  })
  test('nonsense is passed over', () => {
    const q = read(new URLSearchParams(
      'tz=Rome&range=1y&granularity=second&group_by=model,colour,model&filter.colour=x&top=-1&order_by=x&chart=pie'), 'UTC')
    expect(q).toEqual(question('UTC'))
    expect(read(new URLSearchParams('top=9999'), 'UTC').top).toBe(1000)
  })
  test('the address of Explore', () => {
    expect(hashOf({ zone: 'UTC', groupBy: [], filters: new Map([['user_id', ['u&1']]]) }))
      .toBe('#/explore?range=7d&tz=UTC&group_by=&filter.user_id=u%261')
  })
})

describe('a range', () => {
  test('has today in it, as the zone has it', () => {
    const seven = { preset: '7d', from: '', to: '' } as const
    expect(ends(seven, 'UTC', now)).toEqual({ from: '2026-11-16', to: '2026-11-23' })
    expect(ends(seven, 'Asia/Tokyo', now)).toEqual({ from: '2026-11-17', to: '2026-11-24' })
  })
  test('of 24 hours has whole hours', () => {
    expect(ends({ preset: '24h', from: '', to: '' }, 'UTC', now))
      .toEqual({ from: '2026-11-21T23:00:00Z', to: '2026-11-22T23:00:00Z' })
  })
  test('can be fixed', () => {
    expect(fixed(question('UTC'), now).range).toEqual({ preset: '', from: '2026-11-16', to: '2026-11-23' })
  })
  test('is of dates or instants', () => {
    expect(seconds('2026-03-29', 'Europe/Rome')).toBe(Date.parse('2026-03-28T23:00:00Z') / 1000)
    expect(seconds('2026-03-29T00:00:00+02:00', 'UTC')).toBe(Date.parse('2026-03-28T22:00:00Z') / 1000)
    for (const bad of ['', 'x', '2026-13-01', '2026-03-29T00:00:00', '2026']) expect(seconds(bad, 'UTC')).toBeNaN()
  })
})

describe('what the API is asked', () => {
  test('all of it', () => {
    expect(query(parameters(full, now))).toBe('?from=2026-03-01&to=2026-04-01T12%3A00%3A00%2B02%3A00'
      + '&tz=Asia%2FKathmandu&granularity=week&group_by=usage_type%2Cmodel&organization_id=o-1&filter.agent_id='
      + '&filter.model=a+b&filter.model=c%26d%3D%C3%A9&filter.model=..%2F%23%3F&filter.model=x%2Cy'
      + '&top=20&order_by=events')
  })
  test('a top needs groups', () => {
    expect(parameters({ ...full, groupBy: [] }, now)).not.toHaveProperty('top')
  })
  test('the granularity that fits', () => {
    const of = (from: string, to: string) =>
      granularityOf({ ...question('UTC'), range: { preset: '', from, to } }, now)
    expect(of('2026-11-22T00:00:00Z', '2026-11-22T06:00:00Z')).toBe('15m')
    expect(of('2026-11-22', '2026-11-23')).toBe('hour')
    expect(of('2026-10-22', '2026-11-23')).toBe('day')
    expect(of('2025-11-22', '2026-11-23')).toBe('week')
    expect(of('2020-11-22', '2026-11-23')).toBe('month')
    expect(of('', '')).toBe('day')
  })
  test('quantities of one type only are added', () => {
    expect(summable(question('UTC'))).toBe(false)
    expect(summable(full)).toBe(true)
    expect(summable({ ...question('UTC'), filters: new Map([['usage_type', ['INPUT']]]) })).toBe(true)
    expect(summable({ ...question('UTC'), filters: new Map([['usage_type', ['INPUT', 'OUTPUT']]]) })).toBe(false)
  })
  test('what may be stacked', () => {
    const of = (measure: Question['measure'], ...types: string[]) =>
      stackable({ ...question('UTC'), measure, groupBy: ['usage_type'] }, types)
    expect(of('billed_cost', 'INPUT', 'VAPI_SECONDS')).toBe(true)
    expect(of('quantity', 'INPUT', 'OUTPUT')).toBe(true)
    expect(of('quantity', 'VAPI_SECONDS')).toBe(true)
    expect(of('quantity', 'INPUT', 'VAPI_SECONDS')).toBe(false)
    expect(of('events', 'INPUT', 'OUTPUT')).toBe(false)
    expect(stackable({ ...question('UTC'), measure: 'events' }, ['INPUT', 'OUTPUT'])).toBe(true)
  })
  test('curl, whatever is filtered by', () => {
    const q = { ...question('UTC'), groupBy: [], filters: new Map([['model' as const, ["it's", '']]]) }
    expect(curl(q, 'http://h', now)).toBe(`curl -sG 'http://h/v1/usage/query' -H "Authorization: Bearer $TOKEN" \\
  --data-urlencode 'from=2026-11-16' \\
  --data-urlencode 'to=2026-11-23' \\
  --data-urlencode 'tz=UTC' \\
  --data-urlencode 'granularity=hour' \\
  --data-urlencode 'filter.model=it'\\''s' \\
  --data-urlencode 'filter.model='`)
  })
})
