// The tiles: today against the same day last week up to the same time of the clock, and the rate
// at which events come in now.

import { usage, type UsageAnswer, type UsageRow } from '../../api'
import { decimal, short, sum, text, usd, type Decimal } from '../../decimal'
import { h, render } from '../../dom'
import { difference } from '../../series'
import { days } from '../../time'
import { sparkline } from '../../ui/sparkline'
import { dayOf, instantOf, secondOfDay } from '../../zone'
import { iso, tokenTypes } from '../../question'
import type { Scope } from './scope'

const samplesMax = 30

interface Tile { element: HTMLElement; value: HTMLElement; sub: HTMLElement }

interface Figures { cost: Decimal; tokens: Decimal; events: Decimal; unpriced: number }

export interface Today {
  element: HTMLElement
  refresh(): Promise<void> // the figures
  tick(): Promise<void> // the rate
}

export function today(s: () => Scope): Today {
  const tiles = { cost: tile('Cost today'), tokens: tile('Tokens today'), events: tile('Events today') }
  const rate = rateTile()
  const element = h('section', { class: 'tiles', 'aria-label': 'Today' },
    tiles.cost.element, tiles.tokens.element, tiles.events.element, rate.element)
  let shown = ''
  const refresh = async () => {
    const { now, before, weekday } = await figures(s())
    const next = JSON.stringify([now, before, weekday], (_, v: unknown) => typeof v === 'bigint' ? String(v) : v)
    if (next === shown) return
    shown = next
    const put = (t: Tile, a: Decimal, b: Decimal, format: (d: Decimal) => string, unit: string) => {
      render(t.value, h('span', { title: `${text(a)}${unit}` }, format(a)))
      const d = difference(a, b)
      render(t.sub,
        h('span', { 'aria-hidden': 'true', class: 'change' }, d.text), h('span', { class: 'visually-hidden' }, `${d.words}:`),
        ' ', h('span', { title: `${text(b)}${unit}` }, format(b)), ` last ${weekday}`)
    }
    put(tiles.cost, now.cost, before.cost, usd, ' USD')
    put(tiles.tokens, now.tokens, before.tokens, short, ' tokens')
    put(tiles.events, now.events, before.events, short, ' events')
  }
  return { element, refresh, tick: () => rate.tick(s()) }
}

function tile(name: string): Tile {
  const value = h('p', { class: 'value' }, '–')
  const sub = h('p', { class: 'sub' })
  return { element: h('div', { class: 'tile' }, h('h2', { class: 'name' }, name), value, sub), value, sub }
}

async function figures(s: Scope): Promise<{ now: Figures; before: Figures; weekday: string }> {
  const at = Math.floor(Date.now() / 60_000) * 60
  const day = dayOf(at, s.zone)
  const week = days(day, -7)
  const until = iso(instantOf(week, s.zone, secondOfDay(at, s.zone)) * 1000)
  const start = instantOf(week, s.zone) * 1000
  const [now, before] = await Promise.all([
    ofRange(s, day, days(day, 1)),
    // In the first minute of a day there is nothing to compare with yet.
    Date.parse(until) > start ? ofRange(s, week, until) : { cost: 0n, tokens: 0n, events: 0n, unpriced: 0 },
  ])
  const weekday = new Intl.DateTimeFormat('en', { weekday: 'long', timeZone: 'UTC' }).format(new Date(`${day}T00:00:00Z`))
  return { now, before, weekday: `${weekday} by ${clock(at, s.zone)}` }
}

function clock(at: number, zone: string): string {
  return new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', timeZone: zone }).format(at * 1000)
}

async function ofRange(s: Scope, from: string, to: string): Promise<Figures> {
  const asked = { from, to, tz: s.zone, granularity: 'total', organization_id: s.organization }
  const [all, types] = await Promise.all([
    usage(asked, s.signal),
    usage({ ...asked, group_by: 'usage_type', 'filter.usage_type': tokenTypes }, s.signal),
  ])
  const of = (pick: (r: UsageRow) => string | null, a: UsageAnswer) => sum(a.rows.map(pick))
  return {
    cost: of((r) => r.billed_cost_usd, all),
    tokens: of((r) => r.quantity, types),
    events: decimal(String(all.rows[0]?.events ?? 0)),
    unpriced: all.rows[0]?.unpriced_events ?? 0,
  }
}

interface RateTile { element: HTMLElement; tick(s: Scope): Promise<void> }

// rateTile shows the growth of today's events between two looks.
function rateTile(): RateTile {
  const t = tile('Live rate')
  const samples: number[] = Array<number>(samplesMax).fill(0)
  const line = h('span', {})
  const row = h('div', { class: 'live' })
  t.value.replaceWith(row)
  row.append(t.value, line)
  let last: { at: number; events: number; key: string } | undefined
  const tick = async (s: Scope) => {
    const at = performance.now()
    const day = dayOf(Date.now() / 1000, s.zone)
    const key = `${day} ${s.zone} ${s.organization}`
    const answer = await usage({
      from: day, to: days(day, 1), tz: s.zone, granularity: 'total', organization_id: s.organization,
    }, s.signal)
    const events = answer.rows[0]?.events ?? 0
    const before = last
    last = { at, events, key }
    if (before?.key !== key) { render(t.value, '–'); render(t.sub, 'measuring…'); return }
    const perSecond = Math.max(0, (events - before.events) / Math.max(0.001, (at - before.at) / 1000))
    samples.push(perSecond)
    samples.shift()
    const word = `${perSecond >= 100 ? perSecond.toFixed(0) : perSecond.toFixed(1)} events/s`
    if (t.value.textContent !== word) render(t.value, word)
    const most = Math.max(...samples)
    const label = `The last minute: at most ${most.toFixed(1)} events a second`
    if (line.firstElementChild?.getAttribute('aria-label') !== label || perSecond !== samples.at(-2)) {
      render(line, sparkline(samples, label))
    }
    const sub = most > 0 ? `at most ${most.toFixed(1)} in the last minute` : 'nothing in the last minute'
    if (t.sub.textContent !== sub) render(t.sub, sub)
  }
  return { element: t.element, tick }
}
