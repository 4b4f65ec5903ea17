// The calendar of time zones: where days begin, and which buckets a range has.

import { days } from './time'

const formats = new Map<string, Intl.DateTimeFormat>()

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone)
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone, hourCycle: 'h23', era: 'short', year: 'numeric', month: '2-digit', day: '2-digit',
      hour: '2-digit', minute: '2-digit', second: '2-digit',
    })
    formats.set(zone, format)
  }
  return format
}

// zones are all that the browser knows, UTC first.
export function zones(): string[] {
  return ['UTC', ...Intl.supportedValuesOf('timeZone').filter((z) => z !== 'UTC')]
}

// zoneValid tells whether the browser knows a zone; the server decides.
export function zoneValid(zone: string): boolean {
  try { formatOf(zone); return true } catch { return false }
}

// offset is what a zone's clock is ahead of UTC's at an instant, in seconds.
export function offset(instant: number, zone: string): number {
  const parts = Object.fromEntries(formatOf(zone).formatToParts(instant * 1000).map((p) => [p.type, p.value]))
  const clock = Date.UTC(Number(parts['year']), Number(parts['month']) - 1, Number(parts['day']),
    Number(parts['hour']), Number(parts['minute']), Number(parts['second'])) / 1000
  return clock - Math.floor(instant)
}

// instantOf is when a zone's clock shows a time of a day, in seconds since 1970. A time that the
// clock skips is the instant after the gap; of one that it shows twice the first.
export function instantOf(day: string, zone: string, secondOfDay = 0): number {
  const clock = Date.parse(`${day}T00:00:00Z`) / 1000 + secondOfDay
  const before = offset(clock - 86_400, zone)
  const after = offset(clock + 86_400, zone)
  const candidates = [clock - before, clock - after].filter((at) => at + offset(at, zone) === clock)
  return candidates.length > 0 ? Math.min(...candidates) : clock - Math.min(before, after)
}

// dayOf is the calendar day of an instant, and secondOfDay what its clock shows.
export function dayOf(instant: number, zone: string): string {
  return new Date((instant + offset(instant, zone)) * 1000).toISOString().slice(0, 10)
}

export function secondOfDay(instant: number, zone: string): number {
  const clock = instant + offset(instant, zone)
  return ((clock % 86_400) + 86_400) % 86_400
}

const bucketsMax = 50_000 // the API's own limit

// buckets are the starts of the buckets that a range has, in seconds since 1970. The first may
// start before the range does, as it does in answers.
export function buckets(from: number, to: number, granularity: string, zone: string): number[] {
  if (!(to > from)) return []
  if (granularity === '15m' || granularity === 'hour') return steps(from, to, granularity === '15m' ? 900 : 3600, zone)
  if (granularity === 'total') return [from]
  const found: number[] = []
  let day = firstDay(dayOf(from, zone), granularity)
  for (let at = instantOf(day, zone); at < to && found.length < bucketsMax; at = instantOf(day, zone)) {
    found.push(at)
    day = granularity === 'day' ? days(day, 1) : granularity === 'week' ? days(day, 7) : nextMonth(day)
  }
  return found
}

function steps(from: number, to: number, size: number, zone: string): number[] {
  const clock = from + offset(from, zone)
  const found: number[] = []
  for (let at = from - clock % size; at < to && found.length < bucketsMax; at += size) found.push(at)
  return found
}

function firstDay(day: string, granularity: string): string {
  if (granularity === 'month') return `${day.slice(0, 7)}-01`
  if (granularity !== 'week') return day
  const weekday = new Date(`${day}T00:00:00Z`).getUTCDay()
  return days(day, -((weekday + 6) % 7))
}

function nextMonth(day: string): string {
  return `${days(`${day.slice(0, 7)}-28`, 4).slice(0, 7)}-01`
}
