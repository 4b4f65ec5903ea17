// What should not go unseen: usage without a price, and hours outside an agent's rhythm.

import { Failed, get, query } from '../../api'
import { decimal, short, text } from '../../decimal'
import { h, render } from '../../dom'
import { names, who, type Names } from '../../names'
import { ends, hashOf, seconds } from '../../question'
import { instant } from '../../time'
import { ask, inOrganization, type Scope } from './scope'

interface Unpriced { items: { model: string; measurements: number }[]; more: boolean }

interface Anomaly {
  agent_id: string
  hour: string
  usage_type: string
  quantity: string
  expected: string
  score: number
}

const anomaliesShown = 3
const anomaliesEvery = 300_000
const unpricedDays = 400 // of the API

export interface Warnings { element: HTMLElement; refresh(): Promise<void> }

export function warnings(s: () => Scope): Warnings {
  const unpriced = h('div', { class: 'notice', role: 'status', hidden: true })
  const anomalies = h('div', { class: 'notice', role: 'status', hidden: true })
  const element = h('div', { class: 'warnings', hidden: true }, unpriced, anomalies)
  let asked = { at: -Infinity, organization: '' }
  const put = (into: HTMLElement, ...content: (Node | string)[]) => {
    const before = into.textContent
    const shown = h('div', {}, ...content)
    if (before !== shown.textContent) render(into, ...shown.childNodes)
    into.hidden = content.length === 0
    element.hidden = unpriced.hidden && anomalies.hidden
  }
  const refresh = async () => {
    const scope = s()
    put(unpriced, ...await unpricedOf(scope))
    const due = performance.now() - asked.at > anomaliesEvery || asked.organization !== scope.organization
    if (scope.session.role === 'member' || !due) return
    asked = { at: performance.now(), organization: scope.organization }
    put(anomalies, ...await anomaliesOf(scope))
  }
  return { element, refresh }
}

async function unpricedOf(s: Scope): Promise<(Node | string)[]> {
  const admin = s.session.role === 'admin' || s.session.role === 'superadmin'
  const { from, to } = ends(s.range, s.zone, new Date())
  const start = Math.max(seconds(from, s.zone), seconds(to, s.zone) - (unpricedDays - 1) * 86_400)
  if (!admin) {
    const { rows } = await ask(s, { granularity: 'total' })
    const count = rows.reduce((all, r) => all + r.unpriced_events, 0)
    if (count === 0) return []
    return [h('strong', {}, 'Without a price'),
      `${short(decimal(String(count)))} measurements have no rate: they cost nothing yet.`]
  }
  const iso = (at: number) => new Date(at * 1000).toISOString()
  const found = await get<Unpriced>(`/v1/admin/unpriced${query({
    from: iso(start), to: iso(seconds(to, s.zone)), organization_id: s.organization,
  })}`, s.signal)
  if (found.items.length === 0) return []
  const models = [...new Set(found.items.map((i) => i.model || '(no model)'))]
  const count = text(decimal(String(found.items.reduce((all, i) => all + i.measurements, 0))))
  const others = models.length > 3 || found.more ? ' and others' : ''
  return [
    h('strong', {}, 'Without a price'),
    h('span', {}, `${count} measurements of ${models.slice(0, 3).join(', ')}${others} have no rate: they cost nothing yet.`),
    h('a', { href: inOrganization(s, '#/admin/rates') }, 'Rates'),
    h('a', { href: hashOf({
      range: s.range, zone: s.zone, organization: s.organization, measure: 'events',
      filters: new Map([['model', [...new Set(found.items.map((i) => i.model))].slice(0, 20)]]),
    }) }, 'Look at them'),
  ]
}

async function anomaliesOf(s: Scope): Promise<(Node | string)[]> {
  const to = new Date()
  const from = new Date(to.getTime() - 3 * 86_400_000)
  let found: { anomalies: Anomaly[]; more: boolean }
  try {
    found = await get(`/v1/usage/anomalies${query({
      from: from.toISOString(), to: to.toISOString(), limit: anomaliesShown, organization_id: s.organization,
    })}`, s.signal)
  } catch (error) {
    if (error instanceof Failed) return [] // nobody came here for them
    throw error
  }
  if (found.anomalies.length === 0) return []
  const known = await names(s.session, s.organization)
  return [
    h('strong', {}, 'Out of rhythm'),
    h('ul', { class: 'plain' }, found.anomalies.map((a) => h('li', {}, ...sentence(s, a, known)))),
    ...found.more ? ['and more in the last three days'] : [],
  ]
}

function sentence(s: Scope, a: Anomaly, known: Names): (Node | string)[] {
  const hour = new Date(a.hour)
  const next = new Date(hour.getTime() + 3_600_000)
  const link = hashOf({
    zone: s.zone, organization: s.organization, granularity: '15m', groupBy: ['usage_type'], measure: 'quantity',
    range: { preset: '', from: a.hour, to: next.toISOString().replace('.000Z', 'Z') },
    filters: new Map([['agent_id', [a.agent_id]], ['usage_type', [a.usage_type]]]),
  })
  return [
    who(known, 'agent', a.agent_id, inOrganization(s, `#/agents/${encodeURIComponent(a.agent_id)}`)),
    `: ${short(decimal(a.quantity))} ${a.usage_type} instead of ${short(decimal(a.expected))}, `,
    h('a', { href: link }, instant(hour, s.zone)),
  ]
}
