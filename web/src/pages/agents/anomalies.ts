// Hours in which an agent used far more, or far less, than it does at that hour of the week.

import { Failed, get, query } from '../../api'
import { h } from '../../dom'
import { ends, seconds, type Preset } from '../../question'
import { browserZone, instant } from '../../time'
import { amount, badge } from '../../ui/figures'
import { failed } from '../../ui/state'
import { table } from '../../ui/table'

export interface Anomaly {
  agent_id: string
  hour: string
  usage_type: string
  quantity: string
  expected: string
  low: string
  high: string
  hours_compared: number
  score: number
}

export interface Anomalies { anomalies: Anomaly[]; more: boolean; shortened: boolean }

const day = 86_400
const reach = 30 * day // the API looks at 31 days

// anomaliesOf asks for an agent's odd hours; a range that is too long is shortened to its end.
export async function anomaliesOf(agent: string, preset: Preset,
  signal: AbortSignal): Promise<Anomalies | Failed> {
  const { from, to } = ends({ preset, from: '', to: '' }, browserZone, new Date())
  const end = Math.min(seconds(to, browserZone), Math.ceil(Date.now() / 3_600_000) * 3600)
  const start = Math.max(seconds(from, browserZone), end - reach)
  try {
    // An hour is judged by what was before the range: for the last day there is more of that.
    const parts = [await part(agent, start, end, signal)]
    if (end - start > day) parts.push(await part(agent, end - day, end, signal))
    return { ...join(parts), shortened: start > seconds(from, browserZone) }
  } catch (error) {
    if (error instanceof Failed) return error
    throw error
  }
}

type Part = { anomalies: Anomaly[]; more: boolean }

function part(agent: string, start: number, end: number, signal: AbortSignal): Promise<Part> {
  const iso = (at: number) => new Date(at * 1000).toISOString()
  return get<Part>(`/v1/usage/anomalies${query({ agent_id: agent, from: iso(start), to: iso(end), limit: 100 })}`, signal)
}

// join has each odd hour of a usage type once, the newest first.
export function join(parts: Part[]): Part {
  const found = new Map<string, Anomaly>()
  for (const p of parts) for (const a of p.anomalies) found.set(`${a.hour} ${a.usage_type}`, a)
  return {
    anomalies: [...found.values()].sort((a, b) => a.hour < b.hour ? 1 : a.hour > b.hour ? -1 : 0),
    more: parts.some((p) => p.more),
  }
}

// anomalyCard says what was found, also that nothing was.
export function anomalyCard(found: Anomalies | Failed): HTMLElement {
  const title = h('h2', {}, 'Hours outside its rhythm')
  if (found instanceof Failed) {
    return h('section', { class: 'card' }, title, found.status === 403
      ? h('p', { class: 'muted' }, 'Only the agent’s owner and admins see these: an hour of an agent is of all its users.')
      : failed(found))
  }
  const range = found.shortened ? ' (the last 30 days are looked at)' : ''
  if (found.anomalies.length === 0) {
    return h('section', { class: 'card' }, title, h('p', { class: 'muted' },
      `None${range}. The first ten days of an agent give none: it is compared with itself.`))
  }
  return h('section', { class: 'card' }, title,
    h('p', { class: 'muted' }, `Marked in the charts above${range}.${found.more ? ' There are more than are shown.' : ''}`),
    table('Hours outside the agent’s rhythm', [
      { name: 'Hour', cell: (a) => h('span', { title: a.hour }, instant(a.hour)) },
      { name: 'Usage type', cell: (a) => a.usage_type },
      { name: 'Used', cell: (a) => amount(a.quantity), numeric: true },
      { name: 'Usual', cell: (a) => amount(a.expected), numeric: true },
      {
        name: 'Would not be odd',
        cell: (a) => [amount(a.low), ' to ', amount(a.high)], numeric: true, narrow: true,
      },
      {
        name: 'How far off',
        cell: (a) => badge(`${a.score > 0 ? 'far more' : 'far less'}: ${Math.abs(a.score)} deviations`,
          'warn',
          `Compared with ${a.hours_compared} hours`),
      },
    ], found.anomalies))
}
