// The cards that are lists.

import { h, type Child } from '../../dom'
import { ago, duration, instant } from '../../time'
import { badge, brief, command } from '../../ui/figures'
import { table } from '../../ui/table'
import { card, changing } from './parts'
import { counted, isQuiet, type Batch, type Peer, type Status } from './status'

interface Card { element: HTMLElement; update(s: Status): void }

const results: Record<string, [string, 'good' | 'warn' | 'bad' | '']> = {
  ok: ['nothing differs', 'good'], differences: ['differences', 'bad'], failed: ['did not finish', 'warn'], '': ['not yet', ''],
}

export function verifyCard(): Card {
  const body = h('div', { class: 'stack' })
  const draw = changing(body)
  return {
    element: card('Last verify', body),
    update: ({ verify }) => draw(verify, () => {
      const often = verify.every_seconds === 0 ? 'This node verifies nothing by itself.'
        : `Every ${duration(verify.every_seconds)} what is derived is held against the ledger.`
      return [
        h('p', {}, badge(...results[verify.result] ?? [verify.result, 'warn']), ' ', verify.last_run_at
          ? h('span', { title: verify.last_run_at }, `Last run ${instant(verify.last_run_at, undefined, true)}`)
          : 'None since this node was started', verify.last_success_at && verify.last_success_at !== verify.last_run_at
          ? `; the last that ended well ${instant(verify.last_success_at, undefined, true)}.` : '.'),
        h('p', { class: 'muted' }, often),
        ...verify.differences.length === 0 ? [] : differing(verify.differences, verify.more),
      ]
    }),
  }
}

function differing(lines: string[], more: number): Child[] {
  return [
    table('What differs', [{ name: 'Difference', cell: (d: string) => h('code', {}, d) }], lines),
    more > 0 ? h('p', { class: 'muted' }, `And ${counted(more, 'difference', 'differences')} more.`) : null,
    h('p', {}, 'Find the cause first (the lines name tables and days), then make those days what the ledger says:'),
    command('meterhouse verify'),
    command('meterhouse rebuild --from DAY --to DAY_AFTER --dry-run'),
  ]
}

export function asideCard(): Card {
  const body = h('div', { class: 'stack' })
  const draw = changing(body)
  const element = card('Set aside', body)
  return {
    element,
    update: ({ aside, node }) => draw([aside, node], () => aside.batches.length === 0
      ? [h('p', {}, badge('none', 'good'), ' ClickHouse has taken every batch.'),
        aside.problem ? h('p', { class: 'muted' }, aside.problem) : null]
      : [
        h('p', {}, badge(counted(aside.batches.length, 'batch', 'batches'), 'bad'),
          ' ClickHouse refuses them for what is in them. Mend what the reason names, then store them on this node’s machine:'),
        command('meterhouse replay --list'),
        command('meterhouse replay'),
        table('Batches set aside', [
          { name: 'File', cell: (b: Batch) => h('code', {}, b.file) },
          { name: 'Events', numeric: true, cell: (b) => String(b.events) },
          { name: 'Sequences', cell: (b) => `${b.first}–${b.last}`, narrow: true },
          { name: 'Reason', cell: (b) => b.reason },
        ], aside.batches),
      ]),
  }
}

export function nodesCard(): Card {
  const body = h('div', {})
  const draw = changing(body)
  return {
    element: card('Nodes', body),
    update: (s) => {
      const now = new Date(s.time)
      const rows = s.peers.nodes
      draw([rows, s.peers.problem], () => [
        s.peers.problem ? h('p', { class: 'muted' }, s.peers.problem) : null,
        rows.length === 0 ? h('p', { class: 'muted' }, 'This node is the only one, and told nothing yet.') : table('Nodes', [
          { name: 'Node', cell: (n: Peer) => [h('code', { title: n.id }, brief(n.id)), n.id === s.node && ' (this one)'] },
          { name: 'State', cell: (n) => stateOf(n, s.node) },
          { name: 'Waiting in its log', numeric: true, cell: (n) => counted(n.pending_events, 'event', 'events') },
          { name: 'Last told', cell: (n) => h('span', { title: n.seen_at }, n.live ? instant(n.seen_at, undefined, true) : ago(n.seen_at, now)) },
        ], rows),
      ])
    },
  }
}

function stateOf(n: Peer, here: string): HTMLElement {
  if (n.stopped) return badge('stopped', '', 'It ended in order, with nothing left in its log')
  return isQuiet(n, here) ? badge('quiet', 'warn') : badge('here', 'good')
}
