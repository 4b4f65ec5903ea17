import { expect, test } from 'vitest'
import { add, perSecond, rates, recent, type Sample } from './samples'
import { bytes, findings, levelOf, seconds, sentence, type Status } from './status'

const well: Status = {
  node: 'a', version: '1', started_at: '2026-01-01T00:00:00Z', time: '2026-01-02T00:00:00Z',
  log: { pending_events: 0, pending_bytes: 10, limit_bytes: 1000, lag_seconds: 0 },
  ingest: { accepted: 0, duplicates: 0, rejected: 0, refused: 0 },
  clickhouse: { reachable: true, embedded: true, version: '25', ping_ms: 1 },
  verify: { every_seconds: 3600, last_run_at: '2026-01-01T23:30:00Z', last_success_at: '2026-01-01T23:30:00Z', result: 'ok', differences: [], more: 0 },
  aside: { batches: [] },
  peers: { nodes: [{ id: 'a', seen_at: '2026-01-02T00:00:00Z', live: true, stopped: false, pending_events: 0 }] },
  reports: { enabled: true, last_run_at: null, oldest_open: '2026-01-01T23:00:00Z', open_slots: 1 },
  exports: { pending: 0, running: 0 },
}

function told(change: Partial<Status>): [string, string] {
  const s = { ...well, ...change }
  const found = findings(s)
  return [levelOf(found), sentence(s, found)]
}

test('a node that is well says what waits', () => {
  expect(told({})).toEqual(['ok', 'Everything is stored.'])
  expect(told({ log: { ...well.log, pending_events: 1200, lag_seconds: 0.42 } }))
    .toEqual(['ok', '1\u202f200 events wait to be stored; 0.4 s behind.'])
})

test('what is wrong is said, the worst first', () => {
  expect(told({ log: { ...well.log, pending_bytes: 600 } })).toEqual(['look', 'The log is 60 % full.'])
  expect(told({ log: { ...well.log, pending_bytes: 899 } })).toEqual(['bad', 'The log is 89 % full.'])
  expect(told({ log: { ...well.log, lag_seconds: 61 } })).toEqual(['look', 'What is accepted is stored late.'])
  expect(told({ clickhouse: { ...well.clickhouse, reachable: false }, log: { ...well.log, pending_bytes: 600 } }))
    .toEqual(['bad', '2 things need attention.'])
  expect(told({ verify: { ...well.verify, result: 'differences' } })).toEqual(['bad', 'Rollups and ledger differ.'])
  expect(told({ verify: { ...well.verify, last_success_at: '2026-01-01T20:59:00Z' } })[0]).toBe('look')
  expect(told({ aside: { batches: [{ file: 'f', first: '1', last: '2', reason: 'r', events: 1 }] } }))
    .toEqual(['bad', '1 batch of 1 event is set aside.'])
  expect(told({ peers: { nodes: [...well.peers.nodes, { ...well.peers.nodes[0]!, id: 'b', live: false }] } }))
    .toEqual(['look', '1 node went without a word.'])
  expect(told({ peers: { nodes: [...well.peers.nodes, { ...well.peers.nodes[0]!, id: 'b', live: false, stopped: true }] } })[0]).toBe('ok')
  expect(told({ reports: { ...well.reports, oldest_open: '2026-01-01T20:00:00Z' } })[0]).toBe('look')
  expect(told({ exports: { ...well.exports, problem: 'timeout' } })[0]).toBe('look')
})

const sample = (at: number, accepted: number): Sample =>
  ({ at, totals: { accepted, duplicates: 0, rejected: 0, refused: 0 } })

test('rates come from what totals have grown by', () => {
  let samples: Sample[] = []
  for (const s of [sample(0, 10), sample(2, 30), sample(4, 30), sample(4, 99)]) samples = add(samples, s)
  expect(rates(samples).map((r) => r.rates.accepted)).toEqual([10, 0])
  expect(recent(samples, 'accepted')).toBe(5)
  expect(recent(samples.slice(0, 1), 'accepted')).toBeUndefined()
})

test('a node that was started again begins anew', () => {
  const samples = add(add([], sample(0, 1000)), sample(2, 3))
  expect(samples).toEqual([sample(2, 3)])
  expect(rates(samples)).toEqual([])
})

test('numbers are written with their unit', () => {
  expect([bytes(0), bytes(1536), bytes(4 * 2 ** 30)]).toEqual(['0 B', '1.5 KiB', '4.0 GiB'])
  expect([seconds(0.42), seconds(61.4)]).toEqual(['0.4 s', '61 s'])
  expect([perSecond(undefined), perSecond(0), perSecond(2.34), perSecond(12345.6)])
    .toEqual(['–', '0 /s', '2.3 /s', '12\u202f346 /s'])
})
