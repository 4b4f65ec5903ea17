// What the open period comes to: so far, and by its end when usage goes on as of late.

import { get, query } from '../../api'
import { h, render } from '../../dom'
import { instant } from '../../time'
import { amount, badge, money } from '../../ui/figures'
import { tiles } from '../../ui/pairs'
import { empty } from '../../ui/state'
import { table } from '../../ui/table'
import { meterName } from './slots'

interface Model {
  model: string
  usage_type: string
  quantity: string
  projected_quantity: string
  cost_usd: string
  projected_usd: string
  unpriced: number
}

interface Meter { meter: string; unit: string; cost_usd: string; models: Model[] }

interface Estimate {
  from: string
  to: string
  source: 'stripe' | 'calendar_month' | 'request'
  at: string
  recent_from: string
  cost_usd: string
  projected_usd: string
  unpriced: number
  meters: Meter[]
}

const sources = { stripe: 'Stripe’s billing period', calendar_month: 'the calendar month',
  request: 'the range asked for' }

// showEstimate asks and draws; it returns what it drew, so that the same is not drawn again.
export async function showEstimate(
  into: HTMLElement, organization: string, signal: AbortSignal, drawn: string,
): Promise<string> {
  const e = await get<Estimate>(`/v1/report/estimate${query({ organization_id: organization })}`, signal)
  const key = JSON.stringify({ ...e, at: '' })
  if (key === drawn || signal.aborted) return drawn
  const day = (at: string) => instant(at, 'UTC')
  const open = into.querySelector('details')?.open ?? false
  render(into, h('h2', {}, 'Estimate of the open period'),
    h('p', { class: 'muted' }, `${day(e.from)} to ${day(e.to)} UTC, ${sources[e.source]}. `,
      `What is left is taken to go on as since ${day(e.recent_from)}.`),
    tiles([
      ['So far', money(e.cost_usd)],
      ['Projected for the period', money(e.projected_usd)],
      ['Unpriced measurements', e.unpriced > 0 ? amount(e.unpriced) : '0'],
    ]),
    e.meters.length === 0 ? empty('Nothing was used in this period yet.') : details(e, open))
  return key
}

function details(e: Estimate, open: boolean): HTMLElement {
  return h('details', { open }, h('summary', {}, 'By meter and model'),
    e.meters.map((m) => h('div', { class: 'stack by-meter' },
      h('h3', {}, 'Meter: ', meterName(m.meter), ' ', m.meter === '' && badge('not reported', 'warn',
        'No meter counts this usage'),
        ' ', h('span', { class: 'muted' }, 'so far ', money(m.cost_usd))),
      table(`Usage of ${meterName(m.meter)} by model`, [
        { name: 'Model', cell: (o) => o.model || '(no model)' },
        { name: 'Usage type', cell: (o) => o.usage_type },
        { name: 'Quantity', cell: (o) => amount(o.quantity), numeric: true },
        { name: 'Projected', cell: (o) => amount(o.projected_quantity), numeric: true, narrow: true },
        {
          name: 'So far',
          cell: (o) =>
            o.unpriced > 0 ? [money(o.cost_usd), ' ', badge('unpriced', 'warn')] : money(o.cost_usd), numeric: true,
        },
        { name: 'Projected cost', cell: (o) => money(o.projected_usd), numeric: true },
      ], m.models))))
}
