// The cards of the page. Each is made once; an update changes the texts that have changed.

import type { Session } from '../../api'
import { h } from '../../dom'
import { ago, instant } from '../../time'
import { chart, type Chart, type ChartOptions } from '../../ui/chart'
import { badge, brief } from '../../ui/figures'
import { asideCard, nodesCard, verifyCard } from './cards'
import { card, facts, type Facts } from './parts'
import { perSecond, rates, recent, type Rates, type Sample } from './samples'
import { bytes, counted, milliseconds, seconds, type Ingest, type Status } from './status'

export interface Board { element: HTMLElement; update(s: Status, samples: Sample[]): void; destroy(): void }

export function board(session: Session): Board {
  const figures = facts('tiles', ['Accepted', 'Waiting in the log', 'Behind', 'ClickHouse answers in'])
  const ingest = ingestCard()
  const log = logCard()
  const database = facts('pairs', ['State', 'Version', 'Which', 'Answers in', 'Exports under way'])
  const stripe = facts('pairs', ['State', 'Last pass', 'Oldest hour not reported', 'Hours open'])
  const node = facts('pairs', ['Node', 'Version', 'Started', 'Its clock'])
  const verify = verifyCard()
  const aside = asideCard()
  const nodes = nodesCard()
  const element = h('div', { class: 'stack' }, figures.element, ingest.element,
    h('div', { class: 'grid' }, log.element, card('ClickHouse', database.element)),
    aside.element, verify.element,
    h('div', { class: 'grid' }, card('Stripe', stripe.element), card('This node', node.element)), nodes.element)
  return {
    element,
    destroy: ingest.destroy,
    update(s, samples) {
      figures.set('Accepted', perSecond(recent(samples, 'accepted')), 'Events a second, over the last ten')
      figures.set('Waiting in the log', counted(s.log.pending_events, 'event', 'events'))
      figures.set('Behind', seconds(s.log.lag_seconds), 'The age of the oldest event that is not stored')
      figures.set('ClickHouse answers in', s.clickhouse.reachable ? `${milliseconds(s.clickhouse.ping_ms)}` : 'not reached')
      ingest.update(s, samples)
      log.update(s)
      database.show('State', s.clickhouse.reachable ? badge('reached', 'good') : badge('not reached', 'bad', s.clickhouse.problem ?? undefined), String(s.clickhouse.reachable))
      database.set('Version', s.clickhouse.version || '–')
      database.set('Which', s.clickhouse.embedded ? 'embedded in this node' : 'a server')
      database.set('Answers in', s.clickhouse.reachable ? `${milliseconds(s.clickhouse.ping_ms)}` : s.clickhouse.problem || '–')
      database.set('Exports under way', `${s.exports.running} running, ${s.exports.pending} waiting`)
      tellStripe(stripe, s, session)
      node.set('Node', brief(s.node), s.node)
      node.set('Version', s.version)
      if (s.started_at) node.set('Started', `${instant(s.started_at)} (${ago(s.started_at, new Date(s.time))})`, s.started_at)
      node.set('Its clock', skew(s.time), s.time)
      verify.update(s)
      aside.update(s)
      nodes.update(s)
    },
  }
}

function skew(time: string): string {
  const off = Math.abs(Date.parse(time) - Date.now()) / 1000
  return off < 5 ? 'agrees with this browser’s' : `${seconds(off)} from this browser’s`
}

function tellStripe(stripe: Facts, s: Status, session: Session): void {
  const on = s.reports.enabled || session.billing
  stripe.show('State', on ? badge('reporting', 'good') : badge('off', '', 'This node has no Stripe key'), String(on))
  stripe.set('Last pass', s.reports.last_run_at ? `${instant(s.reports.last_run_at, undefined, true)}` : on ? 'none since the start' : 'this node has no Stripe key')
  stripe.set('Oldest hour not reported', s.reports.oldest_open ? instant(s.reports.oldest_open) : 'none')
  stripe.set('Hours open', String(s.reports.open_slots))
}

const totals: [keyof Ingest, string, string][] = [
  ['accepted', 'Accepted', 'new events, acknowledged'],
  ['duplicates', 'Duplicates', 'sent again with the same id, counted once'],
  ['rejected', 'Rejected', 'wrong in themselves: their clients were told why'],
  ['refused', 'Refused', 'a bound was reached, or a part was down: to be sent again'],
]

function ingestCard(): { element: HTMLElement; update(s: Status, samples: Sample[]): void; destroy(): void } {
  let drawn: Chart | undefined
  const place = h('div', { class: 'system-chart' })
  const cells = new Map(totals.map(([name]) => [name, { total: h('td', { class: 'num' }), rate: h('td', { class: 'num' }) }]))
  const table = h('div', { class: 'table-scroll', tabindex: '0', role: 'region', 'aria-label': 'Events since the start' },
    h('table', {}, h('caption', { class: 'visually-hidden' }, 'Events since the start'),
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Events'), h('th', { scope: 'col', class: 'num' }, 'Since the start'),
        h('th', { scope: 'col', class: 'num' }, 'Now'), h('th', { scope: 'col', class: 'wide-only' }, 'Meaning'))),
      h('tbody', {}, totals.map(([name, label, meaning]) => h('tr', { 'data-total': name },
        h('th', { scope: 'row' }, label), cells.get(name)!.total, cells.get(name)!.rate,
        h('td', { class: 'muted wide-only' }, meaning))))))
  return {
    element: card('Ingest', place, table),
    destroy: () => drawn?.destroy(),
    update(s, samples) {
      for (const [name] of totals) {
        const { total, rate } = cells.get(name)!
        put(total, s.ingest[name].toLocaleString('en-US').replaceAll(',', '\u202f'))
        put(rate, perSecond(recent(samples, name)))
      }
      const options = rateChart(samples)
      if (drawn) drawn.update(options)
      else { drawn = chart(options); place.append(drawn.element) }
    },
  }
}

function put(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

function rateChart(samples: Sample[]): ChartOptions {
  const all: Partial<Rates>[] = rates(samples)
  const last = samples.at(-1)?.at ?? 0
  if (all.length === 0) all.push({ at: last - 2 }, { at: last }) // an axis until there is a line
  const clock = (at: number) => instant(new Date(at * 1000), undefined, true).slice(11)
  return {
    label: 'Events accepted a second, since this page was opened.',
    times: all.map((r) => r.at!),
    series: [
      { label: 'Accepted /s', values: all.map((r) => r.rates?.accepted ?? null) },
      { label: 'Duplicates /s', values: all.map((r) => r.rates?.duplicates ?? null) },
      { label: 'Refused or rejected /s', values: all.map((r) => r.rates ? r.rates.refused + r.rates.rejected : null) },
    ],
    format: (v) => String(Number(v.toFixed(1))),
    bucket: clock,
    height: 180,
  }
}

function logCard(): { element: HTMLElement; update(s: Status): void } {
  const meter = h('meter', { min: '0', max: '1', low: '0.5', high: '0.8', optimum: '0', 'aria-label': 'How full the log is' })
  const words = h('p', {})
  const waiting = facts('pairs', ['Waiting', 'Behind'])
  return {
    element: card('Log', meter, words, waiting.element,
      h('p', { class: 'muted' }, 'What is acknowledged is in this node’s log on disk until ClickHouse has it.')),
    update(s) {
      const full = s.log.limit_bytes > 0 ? Math.min(1, s.log.pending_bytes / s.log.limit_bytes) : 0
      meter.value = full
      put(words, `${bytes(s.log.pending_bytes)} of ${bytes(s.log.limit_bytes)}: ${(full * 100).toFixed(full < 0.1 ? 1 : 0)} % full`)
      waiting.set('Waiting', counted(s.log.pending_events, 'event', 'events'))
      waiting.set('Behind', seconds(s.log.lag_seconds))
    },
  }
}
