// Who costs the most: agents, and users.

import type { UsageRow } from '../../api'
import { decimal, number, sum, type Decimal } from '../../decimal'
import { h, type Child } from '../../dom'
import { names, who, type Kind, type Names } from '../../names'
import { hashOf, type Dimension } from '../../question'
import { amount, money } from '../../ui/figures'
import { liveCard, type LiveCard } from '../../ui/live'
import { table } from '../../ui/table'
import { ask, inOrganization, type Scope } from './scope'

const leadersMax = 8

export interface LeaderCard { card: LiveCard; refresh(): Promise<void> }

export function leaderCards(s: () => Scope, signal: AbortSignal): LeaderCard[] {
  return (['agent', 'user'] as const).map((kind) => {
    const link = h('a', {}, 'Explore')
    const card = liveCard(kind === 'agent' ? 'Top agents by cost' : 'Top users by cost', signal, 'leaders', link)
    const refresh = () => {
      link.setAttribute('href', hashOf({ ...shared(s()), groupBy: [dimension(kind)], top: leadersMax }))
      return card.refresh(async () => {
        const [answer, known] = await Promise.all([
          ask(s(), { granularity: 'total', group_by: dimension(kind), top: leadersMax, order_by: 'billed_cost' }),
          names(s().session, s().organization),
        ])
        return { rows: answer.rows, known, list: known.list(kind) }
      }, ({ rows, known }) => draw(s(), kind, rows, known))
    }
    return { card, refresh }
  })
}

const dimension = (kind: Kind): Dimension => kind === 'agent' ? 'agent_id' : 'user_id'
const shared = (s: Scope) => ({ range: s.range, zone: s.zone, organization: s.organization })

function draw(s: Scope, kind: Kind, rows: UsageRow[], known: Names): Child[] {
  if (rows.length === 0) return [h('p', { class: 'state empty' }, 'No usage in this range.')]
  const total = sum(rows.map((r) => r.billed_cost_usd))
  const order = [...rows].sort((a, b) => Number(a.other ?? false) - Number(b.other ?? false)
    || compare(decimal(b.billed_cost_usd), decimal(a.billed_cost_usd)))
  return [table(`Top ${kind}s by cost`, [
    { name: kind === 'agent' ? 'Agent' : 'User', cell: (r: UsageRow) => [name(s, kind, r, known), share(r, total)] },
    { name: 'Events', numeric: true, cell: (r) => r.events === null ? '–' : amount(r.events) },
    { name: 'Cost', numeric: true, cell: (r) => money(r.billed_cost_usd) },
  ], order)]
}

function compare(a: Decimal, b: Decimal): number { return a < b ? -1 : a > b ? 1 : 0 }

function name(s: Scope, kind: Kind, row: UsageRow, known: Names): HTMLElement {
  if (row.other) return h('span', { class: 'muted' }, 'All others')
  const id = String(row[dimension(kind)] ?? '')
  if (kind === 'agent' && id !== '') {
    return who(known, kind, id, inOrganization(s, `#/agents/${encodeURIComponent(id)}`))
  }
  return who(known, kind, id, hashOf({ ...shared(s), filters: new Map([[dimension(kind), [id]]]) }))
}

function share(row: UsageRow, total: Decimal): HTMLElement {
  const part = total > 0n ? number(decimal(row.billed_cost_usd)) / number(total) * 100 : 0
  const bar = h('span')
  bar.style.width = `${Math.max(0, Math.min(100, part)).toFixed(1)}%`
  return h('span', { class: 'share', title: `${part.toFixed(1)} % of the cost`, 'aria-hidden': 'true' }, bar)
}
