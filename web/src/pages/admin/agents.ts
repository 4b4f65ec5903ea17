// Agents: made, named, given an owner, retired.

import { send } from '../../api'
import { h } from '../../dom'
import { forgetNames, who } from '../../names'
import { format } from '../../router'
import { copyable } from '../../ui/figures'
import { formDialog } from '../../ui/form_dialog'
import { say } from '../../ui/toast'
import { choice, input } from './fields'
import { make as makeKey } from './keys'
import { act, acts, listing, pageOf } from './listing'
import { entry, type Agent, type Desk } from './things'

export function agents(desk: Desk): HTMLElement {
  const shown = listing<Agent>({
    title: 'Agents',
    add: { label: 'Make an agent', open: () => edit(desk) },
    columns: [
      { name: 'Name', cell: (a) => h('a', { href: format(['agents', a.id]) }, a.name) },
      { name: 'Owner', cell: (a) => a.owner_id ? who(desk.names, 'user', a.owner_id) : h('span', { class: 'muted' }, 'nobody') },
      { name: 'Id', cell: (a) => copyable(a.id, `id of ${a.name}`), narrow: true },
      { name: 'Actions', cell: (a) => acts(
        act('Make a key', `for ${a.name}`, a.id, () => { void makeKey(desk, a.id) }),
        act('Change', a.name, a.id, () => { void edit(desk, a).then((did) => did && shown.refresh()) }),
        act('Retire', a.name, a.id, () => { void retire(a).then((did) => did && shown.refresh()) })) },
    ],
    text: (a) => `${a.name} ${a.id} ${a.owner_id ? desk.names.name('user', a.owner_id) ?? '' : ''}`,
    read: pageOf('agents', desk.organization, desk.signal),
    none: [h('p', {}, 'Make one, then a key for it: with that it records what it uses.')],
    signal: desk.signal,
  })
  return shown.element
}

function edit(desk: Desk, a?: Agent): Promise<boolean> {
  return formDialog({
    title: a ? `Change ${a.name}` : 'Make an agent', action: a ? 'Save' : 'Make it',
    content: [
      input({ name: 'name', label: 'Name', value: a?.name ?? '', attributes: { required: true } }),
      choice({ name: 'owner_id', label: 'Owner', value: a?.owner_id ?? '',
        hint: 'An active member. What the agent uses counts as its owner’s use too.' },
      [['', 'Nobody'], ...desk.names.list('user').map((u): [string, string] => [u.id, u.name || u.id])]),
    ],
    async submit(data) {
      const body = { name: entry(data, 'name'), owner_id: entry(data, 'owner_id') || null }
      if (a) await send('PATCH', `/v1/admin/agents/${a.id}`, body)
      else await send('POST', '/v1/admin/agents', { ...body, organization_id: desk.organization })
      forgetNames()
      say(a ? 'The agent is changed.' : `${body.name} is made. It needs a key to record usage.`)
    },
  })
}

function retire(a: Agent): Promise<boolean> {
  return formDialog({
    title: `Retire ${a.name}`, action: 'Retire it', danger: true, cancelFirst: true,
    content: [
      h('p', {}, 'Its secrets go with it: what it sends is refused from now on, and making it again does not bring them back.'),
      h('p', {}, 'What it has used stays, in every number and on every bill.'),
    ],
    async submit() {
      await send('DELETE', `/v1/admin/agents/${a.id}`)
      forgetNames()
      say(`${a.name} is retired.`)
    },
  })
}
