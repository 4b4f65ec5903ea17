// Rates: what a million units of a model's usage type cost and are billed, from when on; and what
// was used without one.

import { get, query, send } from '../../api'
import { decimal } from '../../decimal'
import { h, render, type Child } from '../../dom'
import { every } from '../../page'
import { amount, badge, command, money } from '../../ui/figures'
import { formDialog } from '../../ui/form_dialog'
import { table } from '../../ui/table'
import { say } from '../../ui/toast'
import { input } from './fields'
import { act, acts, listing } from './listing'
import { cents, inOrder, margin, type Standing } from './standing'
import { entry, everything, type Desk, type Rate, type Unpriced } from './things'

type Row = Rate & { standing: Standing; until: string | undefined }

export function rates(desk: Desk): HTMLElement[] {
  const may = desk.session.role === 'superadmin'
  const shown = listing<Row>({
    title: 'Rates',
    intro: [h('p', { class: 'muted' }, 'US dollars for a million units, exact to twelve decimals, for all organizations. '
      + 'A rate holds from its moment until the next one of the same model and usage type.',
      !may && ' Superadmins change them.')],
    ...may ? { add: { label: 'Add a rate', open: () => add() } } : {},
    columns: [
      { name: 'Model', cell: (r) => r.model },
      { name: 'Usage type', cell: (r) => r.usage_type },
      { name: 'Provider', cell: (r) => r.provider || h('span', { class: 'muted' }, 'none'), narrow: true },
      { name: 'Costs', numeric: true, cell: (r) => dollars(r.provider_usd_per_million) },
      { name: 'Billed', numeric: true, cell: (r) => dollars(r.billed_usd_per_million) },
      { name: 'Margin', numeric: true, cell: (r) => margin(r.provider_usd_per_million, r.billed_usd_per_million), narrow: true },
      { name: 'From (UTC)', cell: (r) => moment(r.from) },
      { name: 'State', cell: stateOf },
      ...may ? [{ name: 'Actions', cell: (r: Row) => acts(
        act('New price', `for ${r.model} ${r.usage_type}`, r.id, () => { void add(r).then((did) => did && shown.refresh()) }),
        act('Correct', `${r.model} ${r.usage_type} from ${moment(r.from)}`, r.id,
          () => { void correct(r).then((did) => did && shown.refresh()) }),
        act('Retire', `${r.model} ${r.usage_type} from ${moment(r.from)}`, r.id,
          () => { void retire(r).then((did) => did && shown.refresh()) })) }] : [],
    ],
    text: (r) => `${r.model} ${r.usage_type} ${r.provider} ${r.standing}`,
    read: async () => ({
      items: inOrder(await everything<Rate>('text_model_costs', desk.signal), Date.now()), next_cursor: null,
    }),
    none: [h('p', {}, 'Without rates everything is counted and nothing has a price.')],
    signal: desk.signal,
  })
  return [unpriced(desk, may, () => shown.refresh()), shown.element]
}

function dollars(price: string): HTMLElement {
  return h('span', { title: `${price} USD for a million` }, `$${cents(price)}`)
}

function moment(instant: string): string {
  return instant.endsWith('T00:00:00Z') ? instant.slice(0, 10) : instant.replace('T', ' ').replace('Z', '')
}

function stateOf(r: Row): Child {
  switch (r.standing) {
    case 'in force': return badge('in force', 'good')
    case 'to come': return badge('to come', 'warn')
    case 'replaced': return badge('replaced', '', `until ${moment(r.until ?? '')}`)
  }
}

// unpriced is the warning above the rates; where everything has a price it takes no room.
function unpriced(desk: Desk, may: boolean, changed: () => void): HTMLElement {
  const element = h('section', { class: 'card', 'aria-label': 'Usage without a rate', hidden: true })
  let before = ''
  every(15, desk.signal, async () => {
    const answer = await get<{ items: Unpriced[]; more: boolean }>(
      `/v1/admin/unpriced${query({ organization_id: desk.organization, limit: 100 })}`, desk.signal)
    const now = JSON.stringify(answer)
    if (now === before || document.querySelector('dialog[open]')) return
    before = now
    element.hidden = answer.items.length === 0
    render(element, ...unpricedCard(answer.items, answer.more, may, changed))
  })
  return element
}

function unpricedCard(items: Unpriced[], more: boolean, may: boolean, changed: () => void): Child[] {
  return [
    h('h2', {}, 'Usage without a rate'),
    h('p', {}, badge('not billed', 'warn'), ' Used in the last 30 days, counted, and in no cost. A rate prices what comes; '
      + 'what is recorded already is priced by ', h('code', {}, 'meterhouse reprice'), '.'),
    table('Usage without a rate', [
      { name: 'Model', cell: (u) => u.model || h('span', { class: 'muted' }, 'none named: no rate can be for it') },
      { name: 'Usage type', cell: (u) => u.usage_type },
      { name: 'Measurements', numeric: true, cell: (u) => amount(u.measurements) },
      { name: 'Quantity', numeric: true, cell: (u) => amount(u.quantity) },
      { name: 'Days (UTC)', cell: (u) => u.first_day === u.last_day ? u.first_day : `${u.first_day} to ${u.last_day}`, narrow: true },
      ...may ? [{ name: 'Actions', cell: (u: Unpriced) => u.model === '' ? null : acts(
        act('Add a rate', `for ${u.model} ${u.usage_type}`, `${u.model} ${u.usage_type}`, () => {
          void add({ model: u.model, usage_type: u.usage_type, from: u.first_day }).then((did) => did && changed())
        })) }] : [],
    ], items),
    more && h('p', { class: 'muted' }, 'There is more of it: these are the 100 with the most measurements.'),
  ]
}

function prices(r?: Partial<Rate>): HTMLElement[] {
  const decimals = { inputmode: 'decimal', required: true, maxlength: '40' }
  return [
    input({ name: 'provider', label: 'Provider', value: r?.provider ?? '' }),
    input({ name: 'provider_usd_per_million', label: 'Costs us, USD for a million', value: r?.provider_usd_per_million ?? '', attributes: decimals }),
    input({ name: 'billed_usd_per_million', label: 'Billed, USD for a million', value: r?.billed_usd_per_million ?? '', attributes: decimals }),
  ]
}

function priced(data: FormData): Record<string, string> {
  return {
    provider: entry(data, 'provider'),
    provider_usd_per_million: entry(data, 'provider_usd_per_million'),
    billed_usd_per_million: entry(data, 'billed_usd_per_million'),
  }
}

// add makes a rate. After a change of price the old rate goes on to hold until the new one does.
function add(like?: Partial<Rate>): Promise<boolean> {
  const isNext = like?.id !== undefined
  const from = isNext || !like?.from ? new Date().toISOString().slice(0, 10) : like.from
  return formDialog({
    title: isNext ? `A new price for ${like.model} ${like.usage_type}` : 'Add a rate', action: 'Add it',
    content: [
      h('p', { class: 'muted' }, isNext
        ? 'For a price that changes: the present rate holds until the day you give, this one from then on.'
        : 'Usage from the day you give on is priced by it as it arrives; what is recorded already keeps its costs.'),
      input({ name: 'model', label: 'Model', value: like?.model ?? '', attributes: { required: true } }),
      input({ name: 'usage_type', label: 'Usage type', value: like?.usage_type ?? '', hint: 'As INPUT, OUTPUT or CACHED_INPUT.', attributes: { required: true } }),
      ...prices(like),
      input({ name: 'from', label: 'From', value: from, hint: 'A day (midnight UTC), or an instant as 2026-11-01T12:00:00Z.', attributes: { required: true } }),
    ],
    async submit(data) {
      const body = { model: entry(data, 'model'), usage_type: entry(data, 'usage_type'), from: entry(data, 'from'), ...priced(data) }
      await send('POST', '/v1/admin/text_model_costs', body)
      say(`${body.model} ${body.usage_type} has a rate from ${body.from} on.`)
    },
  })
}

function correct(r: Rate): Promise<boolean> {
  const day = moment(r.from).slice(0, 10)
  return formDialog({
    title: `Correct ${r.model} ${r.usage_type} from ${moment(r.from)}`, action: 'Correct it', wide: true,
    content: [
      h('p', {}, 'For a price that was wrong from its beginning: these take its place, from the same moment. '
        + 'When the price has changed on a day, leave this one and add a new price instead.'),
      h('p', {}, 'Costs of what is recorded already stay as they were made. To correct them too, look first, then do it:'),
      command(`meterhouse reprice --from ${day} --to ${new Date(Date.now() + 86_400_000).toISOString().slice(0, 10)} `
        + `--model '${r.model.replaceAll("'", "'\\''")}' --dry-run`),
      ...prices(r),
    ],
    async submit(data) {
      await send('PATCH', `/v1/admin/text_model_costs/${r.id}`, priced(data))
      say('The rate is corrected.')
    },
  })
}

function retire(r: Rate): Promise<boolean> {
  return formDialog({
    title: `Retire a rate of ${r.model}`, action: 'Retire it', danger: true, cancelFirst: true,
    content: [
      h('p', {}, `${r.usage_type}, billed `, money(decimal(r.billed_usd_per_million)), ` for a million from ${moment(r.from)}.`),
      h('p', {}, 'The rate before it holds again, where there is one; otherwise such usage has no price. Costs it has made stay.'),
    ],
    async submit() {
      await send('DELETE', `/v1/admin/text_model_costs/${r.id}`)
      say('The rate is retired.')
    },
  })
}
