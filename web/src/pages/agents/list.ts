// The list of agents: who they are, what they used and cost in thirty days, when they were last seen.

import { usage } from '../../api'
import { h, render } from '../../dom'
import { all } from '../../names'
import { every, type Context } from '../../page'
import { format } from '../../router'
import { ends, seconds } from '../../question'
import { browserZone, ago, date } from '../../time'
import { amount, badge, command, copyable, money } from '../../ui/figures'
import { sparkline } from '../../ui/sparkline'
import { empty, failed, loading } from '../../ui/state'
import { table, type Column } from '../../ui/table'
import { buckets } from '../../zone'
import { usd, zero } from '../../decimal'
import { who, type Who } from '../who'
import { keepingFocus } from '../events/list'
import { totalsOf, type Total } from './totals'

interface Row extends Total { name: string; owner: string; seen: string }

const shownMax = 200

interface State { context: Context; body: HTMLElement; note: HTMLElement; search: string; rows: Row[]; key: string; whole: boolean }

// openAgents draws the list and keeps it up to date.
export async function openAgents(context: Context): Promise<void> {
  const { into, session, signal } = context
  const body = h('div', { class: 'card' }, loading(6))
  const note = h('p', { class: 'muted' })
  const state: State = { context, body, note, search: '', rows: [], key: '', whole: false }
  const input = h('input', {
    id: 'agent-search', type: 'search', 'data-search': true, autocomplete: 'off', spellcheck: 'false',
      maxlength: 256,
    placeholder: 'Name, owner or id',
    oninput: () => { state.search = input.value.trim().toLowerCase(); state.key = ''; draw(state, names) },
  })
  render(into, h('div', { class: 'page-head' }, h('h1', {}, 'Agents'), note),
    h('div', { class: 'field' }, h('label', { for: input.id }, 'Search agents'), input), body)
  const names = await who(session)
  let owners = new Map<string, string>()
  if (session.role !== 'member') {
    owners = new Map((await all('agents', session.organization.id))
      .map((a) => [a.id, (a as { owner_id?: string | null }).owner_id ?? '']))
  }
  if (signal.aborted) return
  every(10, signal, async () => {
    try {
      state.rows = await rowsOf(names, owners, signal)
      if (!signal.aborted) draw(state, names)
    } catch (error) {
      if (!signal.aborted && state.rows.length === 0) render(body, failed(error,
        () => { void openAgents(context) }))
      else note.textContent = 'Not up to date: it is tried again.'
    }
  })
}

async function rowsOf(names: Who, owners: Map<string, string>, signal: AbortSignal): Promise<Row[]> {
  const now = new Date()
  const { from, to } = ends({ preset: '30d', from: '', to: '' }, browserZone, now)
  const days = buckets(seconds(from, browserZone), seconds(to, browserZone), 'day', browserZone)
  const day = ends({ preset: '24h', from: '', to: '' }, browserZone, now)
  const [month, recent] = await Promise.all([
    usage({ from, to, tz: browserZone, granularity: 'day', group_by: 'agent_id', top: 1000,
      order_by: 'billed_cost' }, signal),
    usage({ ...day, tz: browserZone, granularity: '15m', group_by: 'agent_id', top: 1000,
      order_by: 'events' }, signal),
  ])
  const totals = totalsOf(month.rows, days)
  const seen = new Map<string, string>()
  for (const row of recent.rows) if (row['agent_id']) seen.set(String(row['agent_id']), row.time)
  for (const agent of names.agents) {
    if (!totals.has(agent.id)) {
      totals.set(agent.id, { id: agent.id, cost: zero, events: 0, unpriced: 0, daily: days.map(() => 0),
        lastDay: '' })
    }
  }
  return [...totals.values()].map((t) => ({
    ...t, name: names.agent(t.id) ?? '', owner: owners.get(t.id) ?? '', seen: seen.get(t.id) ?? '',
  })).sort((a, b) => a.cost < b.cost ? 1 : a.cost > b.cost ? -1 : b.events - a.events || (a.name < b.name
    ? -1 : 1))
}

function draw(state: State, names: Who): void {
  const { search, rows, body, note } = state
  const found = search === '' ? rows : rows.filter((r) =>
    [r.name, r.id, names.user(r.owner) ?? ''].some((text) => text.toLowerCase().includes(search)))
  const shown = state.whole ? found : found.slice(0, shownMax)
  const key = JSON.stringify(shown.map((r) => [r.id, r.events, String(r.cost), r.seen && seenText(r)]))
  note.textContent = `${found.length} ${found.length === 1 ? 'agent' : 'agents'}, the last 30 days, the dearest first`
  if (key === state.key) return
  state.key = key
  keepingFocus(body, () => {
    if (rows.length === 0) render(body, nobody(state.context))
    else if (found.length === 0) render(body, empty('No agent fits this search.'))
    else {
      render(body, table('Agents and their usage of the last 30 days', columns(state.context, names), shown),
        found.length > shown.length && h('button', {
          type: 'button', onclick: () => { state.whole = true; state.key = ''; draw(state, names) },
        }, `Show all ${found.length}`))
    }
  })
}

function columns({ session }: Context, names: Who): Column<Row>[] {
  const all: Column<Row>[] = [
    {
      name: 'Agent',
      cell: (r) => h('a', { href: format(['agents', r.id]), title: r.id, class: 'row-link',
        'data-id': r.id }, r.name || r.id),
    },
    { name: 'Cost', cell: (r) => money(r.cost), numeric: true },
    { name: 'Events', cell: (r) => amount(r.events), numeric: true },
    {
      name: 'Cost by day',
      cell: (r) => sparkline(r.daily, `Cost by day, together ${usd(r.cost)}`), narrow: true,
    },
    { name: 'Last seen', cell: (r) => h('span', { title: r.seen || r.lastDay }, seenText(r)) },
    {
      name: 'State',
      cell: (r) => r.unpriced > 0 && badge(`${r.unpriced} unpriced`, 'warn',
        'Measurements without a rate: they cost nothing yet'),
    },
  ]
  if (session.role !== 'member') all.splice(1, 0, { name: 'Owner', cell: (r) => names.userText(r.owner) })
  return all
}

// seenText is as exact as the buckets are: a quarter of an hour of the last day, else the day.
function seenText(r: Row): string {
  if (r.seen !== '') {
    const end = Math.min(Date.parse(r.seen) + 900_000, Date.now())
    return Date.now() - end < 60_000 ? 'now' : ago(new Date(end))
  }
  return r.lastDay === '' ? 'not in 30 days' : date(new Date(r.lastDay))
}

function nobody({ session }: Context): HTMLElement {
  if (session.role === 'member') return empty('No agent has usage of yours in the last 30 days.')
  return empty('There is no agent yet.',
    h('p', {}, 'Make one, give it a secret, and send its first event with it:'),
    command(`curl ${location.origin}/v1/admin/agents -H 'Authorization: Bearer YOUR_TOKEN' `
      + `-H 'Content-Type: application/json' -d '{"name": "Helper"}'`))
}

// identity is an agent's id as it stands on its page.
export function identity(id: string): HTMLElement { return copyable(id, 'agent’s id') }
