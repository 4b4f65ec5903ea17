// From the rows of an answer to the series of a chart, in exact decimals: the greatest by their sum
// over the range, and one more for all the others.

import type { UsageRow } from './api'
import { number, zero, type Decimal } from './decimal'
import { seriesColours, type Series } from './ui/chart'

export interface Group { key: string; label: string; sum: Decimal; values: Decimal[]; other: boolean }

export interface Grouping {
  times: number[] // of the buckets; those of rows that are none of them are added
  key: (row: UsageRow) => string
  label: (key: string) => string
  value: (row: UsageRow) => Decimal | null // null: nothing that could be added up
  most: number
}

export interface Grouped {
  times: number[]
  groups: Group[] // the greatest first, "Other" last
  gathered: number // how many are together in Other; 0 where the server gathered them
}

const otherKey = '\u0000other'

export function grouped(rows: UsageRow[], g: Grouping): Grouped {
  const times = timesOf(rows, g.times)
  const place = new Map(times.map((t, i) => [t, i]))
  const found = new Map<string, Group>()
  const groupOf = (key: string): Group => {
    let group = found.get(key)
    if (!group) {
      const other = key === otherKey
      group = { key, label: other ? 'Other' : g.label(key), sum: zero, values: times.map(() => zero), other }
      found.set(key, group)
    }
    return group
  }
  for (const row of rows) {
    const value = g.value(row)
    if (value === null) continue
    const group = groupOf(row.other ? otherKey : g.key(row))
    const i = place.get(Date.parse(row.time) / 1000)!
    group.values[i] = group.values[i]! + value
    group.sum += value
  }
  return { times, ...greatest(found, g.most, groupOf) }
}

function greatest(
  found: Map<string, Group>, most: number, groupOf: (key: string) => Group,
): { groups: Group[]; gathered: number } {
  const own = [...found.values()].filter((group) => !group.other).sort(bySum)
  const kept = own.slice(0, most)
  const rest = own.slice(most)
  if (rest.length === 1 && !found.has(otherKey)) return { groups: own, gathered: 0 }
  for (const group of rest) {
    const other = groupOf(otherKey)
    other.sum += group.sum
    for (const [i, value] of group.values.entries()) other.values[i] = other.values[i]! + value
  }
  const other = found.get(otherKey)
  return { groups: other ? [...kept, other] : kept, gathered: rest.length }
}

function bySum(a: Group, b: Group): number {
  if (a.sum !== b.sum) return a.sum > b.sum ? -1 : 1
  return a.label < b.label ? -1 : 1
}

function timesOf(rows: UsageRow[], given: number[]): number[] {
  const all = new Set(given)
  for (const row of rows) all.add(Date.parse(row.time) / 1000)
  return [...all].sort((a, b) => a - b)
}

// seriesOf makes pixels of groups. Two groups may have one label; their legends may not. Others are
// grey. With "painted" a group keeps the colour that it has in another chart, if it is free here.
export function seriesOf(groups: Group[], painted = new Map<string, number>()): Series[] {
  const taken = new Map<string, number>()
  const used = new Set<number>()
  return groups.map((group) => {
    const times = (taken.get(group.label) ?? 0) + 1
    taken.set(group.label, times)
    return {
      label: times > 1 ? `${group.label} (${times})` : group.label,
      values: group.values.map(number),
      colour: group.other ? seriesColours - 1 : colourOf(group.key, groups, painted, used),
    }
  })
}

function colourOf(key: string, groups: Group[], painted: Map<string, number>, used: Set<number>): number {
  const own = painted.get(key)
  const others = new Set(groups.filter((g) => g.key !== key).map((g) => painted.get(g.key)))
  const all = Array.from({ length: seriesColours }, (_, i) => i)
  const colour = own !== undefined && !used.has(own) ? own
    : all.find((c) => !used.has(c) && !others.has(c)) ?? all.find((c) => !used.has(c)) ?? 0
  used.add(colour)
  painted.set(key, colour)
  return colour
}

// difference compares with a figure of before, to a tenth of a percent and in words.
export function difference(now: Decimal, before: Decimal): { text: string; words: string } {
  if (before === zero) return now === zero ? { text: '=', words: 'the same' } : { text: 'new', words: 'none before' }
  const permille = (now - before) * 2000n / (before < 0n ? -before : before)
  const rounded = (permille + (permille < 0n ? -1n : 1n)) / 2n
  const size = rounded < 0n ? -rounded : rounded
  if (size === 0n) return { text: '± 0 %', words: 'the same' }
  const percent = size >= 10_000n ? `${size / 10n}` : `${size / 10n}.${size % 10n}`
  return {
    text: `${rounded < 0n ? '▼' : '▲'} ${percent} %`,
    words: `${percent} percent ${rounded < 0n ? 'less' : 'more'}`,
  }
}
