// GET /v1/system: how a node is, and the installation as far as the node sees it.

export interface Status {
  node: string
  version: string
  started_at: string | null
  time: string
  log: { pending_events: number; pending_bytes: number; limit_bytes: number; lag_seconds: number }
  ingest: Ingest
  clickhouse: { reachable: boolean; embedded: boolean; version: string; ping_ms: number; problem?: string | null }
  verify: {
    every_seconds: number
    last_run_at: string | null
    last_success_at: string | null
    result: string // ok, differences, failed; empty: none since the start
    differences: string[]
    more: number
  }
  aside: { batches: Batch[]; problem?: string | null }
  peers: { nodes: Peer[]; problem?: string | null }
  reports: {
    enabled: boolean
    last_run_at: string | null
    oldest_open: string | null
    open_slots: number
    problem?: string | null
  }
  exports: { pending: number; running: number; problem?: string | null }
}

// Ingest counts since the node started.
export interface Ingest { accepted: number; duplicates: number; rejected: number; refused: number }

// Peer is a node that is known in the database: live is that it told lately, stopped that it said it ends.
export interface Peer { id: string; seen_at: string; live: boolean; stopped: boolean; pending_events: number }

export interface Batch { file: string; first: string; last: string; reason: string; events: number }

export type Level = 'ok' | 'look' | 'bad'

// Finding is something that is not as it should be: what, and what to do about it.
export interface Finding { level: Exclude<Level, 'ok'>; what: string; todo: string }

// findings are what an operator should know of, the worst first.
export function findings(s: Status): Finding[] {
  const found = [...database(s), ...log(s), ...proofs(s), ...others(s)]
  return [...found.filter((f) => f.level === 'bad'), ...found.filter((f) => f.level === 'look')]
}

function database(s: Status): Finding[] {
  if (s.clickhouse.reachable) return []
  return [{
    level: 'bad', what: 'ClickHouse is not reached.',
    todo: 'Usage is taken in and waits in the log; nothing is lost, and nothing new can be read. Look at the database.',
  }]
}

function log(s: Status): Finding[] {
  const found: Finding[] = []
  const full = s.log.limit_bytes > 0 ? s.log.pending_bytes / s.log.limit_bytes : 0
  if (full >= 0.5) {
    found.push({
      level: full >= 0.8 ? 'bad' : 'look', what: `The log is ${Math.floor(full * 100)} % full.`,
      todo: 'When it is full, writers are refused until ClickHouse takes some of it.',
    })
  }
  if (s.clickhouse.reachable && s.log.lag_seconds >= 60) {
    found.push({
      level: s.log.lag_seconds >= 600 ? 'bad' : 'look', what: 'What is accepted is stored late.',
      todo: 'ClickHouse is reached and does not keep up: look at its load and at the node’s log.',
    })
  }
  return found
}

function proofs(s: Status): Finding[] {
  const found: Finding[] = []
  if (s.verify.result === 'differences') {
    found.push({ level: 'bad', what: 'Rollups and ledger differ.', todo: 'They are listed under “Last verify”, with what to do.' })
  } else if (s.verify.result === 'failed') {
    found.push({ level: 'look', what: 'The last verify did not finish.', todo: 'The node’s log says why; it is tried again by itself.' })
  } else if (s.verify.every_seconds > 0 && s.verify.last_success_at
    && Date.parse(s.time) - Date.parse(s.verify.last_success_at) > 3000 * s.verify.every_seconds) {
    found.push({ level: 'look', what: 'No verify has succeeded for three of its intervals.', todo: 'The node’s log says what keeps it.' })
  }
  if (s.aside.batches.length > 0) {
    const events = s.aside.batches.reduce((sum, b) => sum + b.events, 0)
    found.push({
      level: 'bad', what: `${counted(s.aside.batches.length, 'batch', 'batches')} of ${counted(events, 'event', 'events')} ${s.aside.batches.length === 1 ? 'is' : 'are'} set aside.`,
      todo: 'They are in no number and on no bill until they are replayed: see “Set aside”.',
    })
  }
  return found
}

const openHours = 3

function others(s: Status): Finding[] {
  const found: Finding[] = []
  const now = Date.parse(s.time)
  const quiet = s.peers.nodes.filter((n) => isQuiet(n, s.node))
  if (quiet.length > 0) {
    found.push({
      level: 'look', what: `${counted(quiet.length, 'node', 'nodes')} went without a word.`,
      todo: 'What it has acknowledged may wait on its disk: start it again with its data.',
    })
  }
  if (s.reports.enabled && s.reports.oldest_open && now - Date.parse(s.reports.oldest_open) > openHours * 3_600_000) {
    found.push({ level: 'look', what: 'Stripe lacks hours that ended long ago.', todo: 'Billing shows which, and why.' })
  }
  const problems: [string, string | null | undefined][] = [['what is set aside', s.aside.problem],
    ['the other nodes', s.peers.problem], ['reports', s.reports.problem], ['exports', s.exports.problem]]
  for (const [part, problem] of problems) {
    if (problem && s.clickhouse.reachable) found.push({ level: 'look', what: `This node could not find out about ${part}.`, todo: problem })
  }
  return found
}

// isQuiet tells of another node that it neither tells anything nor said that it ends.
export function isQuiet(n: Peer, here: string): boolean { return n.id !== here && !n.live && !n.stopped }

// sentence says in one how everything is.
export function sentence(s: Status, found: Finding[]): string {
  if (found.length === 1) return found[0]!.what
  if (found.length > 1) return `${found.length} things need attention.`
  return s.log.pending_events === 0 ? 'Everything is stored.'
    : `${counted(s.log.pending_events, 'event waits', 'events wait')} to be stored; ${seconds(s.log.lag_seconds)} behind.`
}

export function levelOf(found: Finding[]): Level { return found[0]?.level ?? 'ok' }

// seconds writes a short time with a tenth.
export function seconds(value: number): string {
  return value < 10 ? `${value.toFixed(1)} s` : `${Math.round(value)} s`
}

// milliseconds writes a time of the network.
export function milliseconds(value: number): string {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`
}

// bytes writes a size in the unit that leaves few digits.
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let n = 0
  let shown = value
  while (shown >= 1024 && n < units.length - 1) { shown /= 1024; n++ }
  return `${n === 0 || shown >= 100 ? Math.round(shown) : shown.toFixed(1)} ${units[n]}`
}

// counted is a number with what it counts.
export function counted(n: number, one: string, many: string): string {
  return `${n.toLocaleString('en-US').replaceAll(',', '\u202f')} ${n === 1 ? one : many}`
}
