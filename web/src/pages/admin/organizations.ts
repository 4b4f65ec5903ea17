// Organizations, and where Stripe is told of each.

import { send } from '../../api'
import { h, type Child } from '../../dom'
import { format } from '../../router'
import { badge, copyable } from '../../ui/figures'
import { formDialog } from '../../ui/form_dialog'
import { say } from '../../ui/toast'
import { area, input } from './fields'
import { act, acts, listing, pageOf } from './listing'
import { entry, everything, whole, type Desk, type Mapping, type Organization, type Page } from './things'

type Row = Organization & { mapping: Mapping | undefined }

export function organizations(desk: Desk): HTMLElement {
  const may = desk.session.role === 'superadmin'
  const page = pageOf<Organization>('organizations', '', desk.signal)
  const read = async (cursor: string | undefined): Promise<Page<Row>> => {
    const [found, mappings] = await Promise.all([
      page(cursor), may ? everything<Mapping>('stripe_mappings', desk.signal) : []])
    const of = new Map(mappings.map((m) => [m.organization_id, m]))
    return { items: found.items.map((o) => ({ ...o, mapping: of.get(o.id) })), next_cursor: found.next_cursor }
  }
  const shown = listing<Row>({
    title: may ? 'Organizations' : 'Organization',
    ...may ? { add: { label: 'Add an organization', open: () => edit() } } : {},
    columns: [
      { name: 'Name', cell: (o) => may ? h('a', { href: format(['admin', 'keys'], new URLSearchParams({ organization_id: o.id })) }, o.name) : o.name },
      { name: 'Tenant', cell: (o) => o.tenant || h('span', { class: 'muted' }, 'none') },
      { name: 'Events a minute', numeric: true, cell: (o) => o.events_per_minute === 0 ? 'default' : String(o.events_per_minute) },
      { name: 'Kept', cell: (o) => o.retention_days === 0 ? 'for ever' : `${o.retention_days} days` },
      ...may ? [{ name: 'Stripe', cell: stripe }] : [],
      { name: 'Id', cell: (o) => copyable(o.id, `id of ${o.name}`, o.id.slice(0, 8)), narrow: true },
      ...may ? [{ name: 'Actions', cell: (o: Row) => acts(
        act('Change', o.name, o.id, () => { void edit(o).then((did) => did && shown.refresh()) }),
        act(o.mapping ? 'Change Stripe' : 'Map to Stripe', `of ${o.name}`, o.id, () => { void map(o).then((did) => did && shown.refresh()) }),
        o.mapping && act('Unmap', o.name, o.id, () => { void unmap(o).then((did) => did && shown.refresh()) }),
        o.id !== desk.session.organization.id && act('Retire', o.name, o.id,
          () => { void retire(o).then((did) => did && shown.refresh()) })) }] : [],
    ],
    text: (o) => `${o.name} ${o.tenant} ${o.id} ${o.mapping?.customer ?? ''}`,
    read,
    none: [],
    signal: desk.signal,
  })
  return shown.element
}

function stripe(o: Row): Child {
  if (!o.mapping) return badge('not mapped', '', 'Its usage is not reported to Stripe')
  const { meters, meter } = o.mapping
  const names = [...meters.map((m) => m.meter), ...meter === '' ? [] : [meter]].join(', ')
  return [h('code', {}, o.mapping.customer), h('span', { class: 'muted' }, names === '' ? '' : ` ${names}`)] as unknown as Child
}

function edit(o?: Organization): Promise<boolean> {
  return formDialog({
    title: o ? `Change ${o.name}` : 'Add an organization', action: o ? 'Save' : 'Add it',
    content: [
      input({ name: 'name', label: 'Name', value: o?.name ?? '', attributes: { required: true } }),
      input({ name: 'tenant', label: 'Tenant', value: o?.tenant ?? '', hint: 'As Memori’s clients name it, for example www.acme.example. Usually empty.' }),
      input({ name: 'events_per_minute', label: 'Events a minute', value: o?.events_per_minute ? String(o.events_per_minute) : '',
        hint: 'More are refused with 429. Empty: the node’s default.', attributes: { inputmode: 'numeric', maxlength: '15' } }),
      input({ name: 'retention_days', label: 'Keep usage for days', value: o?.retention_days ? String(o.retention_days) : '',
        hint: 'At least 62; older months are removed for good. Empty: for ever.', attributes: { inputmode: 'numeric', maxlength: '15' } }),
    ],
    async submit(data) {
      const body = {
        name: entry(data, 'name'), tenant: entry(data, 'tenant'),
        events_per_minute: whole(entry(data, 'events_per_minute')), retention_days: whole(entry(data, 'retention_days')),
      }
      if (o) await send('PATCH', `/v1/admin/organizations/${o.id}`, body)
      else await send('POST', '/v1/admin/organizations', body)
      say(`${body.name} is ${o ? 'changed' : 'added'}.`)
    },
  })
}

// metersOf reads a meter and, where there is one, its subscription item from each line.
export function metersOf(lines: string): { meter: string; subscription_item?: string }[] {
  return lines.split('\n').map((line) => line.trim().split(/\s+/)).filter(([meter]) => meter !== '')
    .map(([meter, item]) => ({ meter: meter!, ...item === undefined ? {} : { subscription_item: item } }))
}

function map(o: Row): Promise<boolean> {
  const m = o.mapping
  return formDialog({
    title: `Stripe of ${o.name}`, action: 'Save', wide: true,
    content: [
      h('p', { class: 'muted' }, 'Whole hours of its usage are reported to this customer, each once. The first meter that counts a usage counts it; '
        + 'what none counts goes to the last field.'),
      input({ name: 'customer', label: 'Customer', value: m?.customer ?? '', hint: 'As cus_123.', attributes: { required: true } }),
      area({ name: 'meters', label: 'Meters, in their order', hint: 'One a line: the meter, then a subscription item where usage is reported by usage records.',
        value: m?.meters.map((each) => `${each.meter} ${each.subscription_item}`.trim()).join('\n') ?? '' }),
      input({ name: 'meter', label: 'Meter for everything else', value: m?.meter ?? '' }),
      input({ name: 'subscription_item', label: 'Its subscription item', value: m?.subscription_item ?? '' }),
      input({ name: 'since', label: 'Since', value: m?.since ?? '', hint: 'A day or a whole hour, as 2026-11-01T00:00:00Z. Empty: all usage is reported.' }),
    ],
    async submit(data) {
      const body = {
        customer: entry(data, 'customer'), meter: entry(data, 'meter'), subscription_item: entry(data, 'subscription_item'),
        meters: metersOf(entry(data, 'meters')), since: entry(data, 'since') || null,
      }
      if (m) await send('PATCH', `/v1/admin/stripe_mappings/${o.id}`, body)
      else await send('POST', '/v1/admin/stripe_mappings', { organization_id: o.id, ...body })
      say(`${o.name} is mapped to ${body.customer}.`)
    },
  })
}

function unmap(o: Row): Promise<boolean> {
  return formDialog({
    title: `Unmap ${o.name}`, action: 'Unmap it', danger: true, cancelFirst: true,
    content: [h('p', {}, `Nothing of its usage is reported to ${o.mapping?.customer ?? 'Stripe'} any more. What was reported stays with Stripe.`)],
    async submit() {
      await send('DELETE', `/v1/admin/stripe_mappings/${o.id}`)
      say(`${o.name} is not mapped any more.`)
    },
  })
}

function retire(o: Organization): Promise<boolean> {
  return formDialog({
    title: `Retire ${o.name}`, action: 'Retire it', danger: true, cancelFirst: true,
    content: [h('p', {}, 'Its memberships, agents, credentials and Stripe mapping go with it, at once and for good. '
      + 'Its users stay, and so does its usage in the ledger.')],
    async submit() {
      await send('DELETE', `/v1/admin/organizations/${o.id}`)
      say(`${o.name} is retired.`)
    },
  })
}
