// Users and their roles in one organization.

import { send } from '../../api'
import { h, type Child } from '../../dom'
import { forgetNames } from '../../names'
import { badge, copyable } from '../../ui/figures'
import { formDialog } from '../../ui/form_dialog'
import { say } from '../../ui/toast'
import { choice, input } from './fields'
import { act, acts, listing } from './listing'
import { entry, everything, type Desk, type Membership, type Page, type User } from './things'

type Person = User & { membership: Membership }

export function people(desk: Desk): HTMLElement {
  const read = async (): Promise<Page<Person>> => {
    const [users, memberships] = await Promise.all([
      everything<User>('users', desk.signal),
      everything<Membership>('memberships', desk.signal, desk.organization)])
    const of = new Map(memberships.map((m) => [m.user_id, m]))
    const members = users.flatMap((u): Person[] => {
      const membership = of.get(u.id)
      return membership ? [{ ...u, membership }] : []
    })
    return { items: members.sort((one, two) => one.name.localeCompare(two.name)), next_cursor: null }
  }
  const shown = listing<Person>({
    title: 'Users',
    intro: [h('p', { class: 'muted' }, 'A member sees their own usage, an admin the organization’s and administers it; '
      + 'a superadmin all organizations, rates and this system.')],
    add: { label: 'Add a user', open: () => add(desk) },
    columns: [
      { name: 'Name', cell: (p) => [p.name, p.id === desk.session.user?.id && h('span', { class: 'muted' }, ' (you)')] },
      { name: 'Email', cell: (p) => p.email || h('span', { class: 'muted' }, 'none') },
      { name: 'Role', cell: (p) => p.membership.role },
      { name: 'State', cell: state },
      { name: 'Id', cell: (p) => copyable(p.id, `id of ${p.name}`, p.id.slice(0, 8)), narrow: true },
      { name: 'Actions', cell: (p) => actions(desk, p, () => shown.refresh()) },
    ],
    text: (p) => `${p.name} ${p.email} ${p.membership.role} ${p.id}`,
    read,
    none: [],
    signal: desk.signal,
  })
  return shown.element
}

function state(p: Person): Child {
  return p.membership.active ? badge('active', 'good') : badge('inactive', 'warn', 'Their credentials open nothing until they are active again')
}

function actions(desk: Desk, p: Person, refresh: () => void): Child {
  if (desk.session.role === 'admin' && p.membership.role === 'superadmin') {
    return h('span', { class: 'muted' }, 'a superadmin’s own')
  }
  const self = p.id === desk.session.user?.id
  return acts(
    act('Change', p.name, p.id, () => { void change(desk, p, self).then((did) => did && refresh()) }),
    !self && act('Remove', `${p.name} from the organization`, p.id,
      () => { void remove(p).then((did) => did && refresh()) }),
    !self && act('Retire', p.name, p.id, () => { void retire(p).then((did) => did && refresh()) }))
}

function roles(desk: Desk, value: string): HTMLElement {
  const offered = ['member', 'admin', ...desk.session.role === 'superadmin' ? ['superadmin'] : []]
  return choice({ name: 'role', label: 'Role', value }, offered.map((r) => [r, r]))
}

function add(desk: Desk): Promise<boolean> {
  return formDialog({
    title: 'Add a user', action: 'Add them',
    content: [
      h('p', { class: 'muted' }, 'Somebody new has a name; make an access token for them afterwards, under Keys. '
        + 'With an identity provider, give the id that its tokens carry. Somebody who is a user already, '
        + 'and of no other organization unless you are a superadmin, is added by the id alone.'),
      input({ name: 'name', label: 'Name', hint: 'Empty for a user who is there already.' }),
      input({ name: 'email', label: 'Email', attributes: { type: 'email' } }),
      input({ name: 'id', label: 'Id', hint: 'A UUID. Empty: one is made.' }),
      roles(desk, 'member'),
    ],
    async submit(data) {
      const id = entry(data, 'id')
      const name = entry(data, 'name')
      const membership = { organization_id: desk.organization, role: entry(data, 'role') }
      if (name === '' && id !== '') await send('POST', '/v1/admin/memberships', { ...membership, user_id: id })
      else {
        await send('POST', '/v1/admin/users',
          { ...membership, name, email: entry(data, 'email'), ...id === '' ? {} : { id } })
      }
      forgetNames()
      say(`${name || 'The user'} is added.`)
    },
  })
}

function change(desk: Desk, p: Person, self: boolean): Promise<boolean> {
  const m = p.membership
  return formDialog({
    title: `Change ${p.name}`, action: 'Save',
    content: [
      input({ name: 'name', label: 'Name', value: p.name, attributes: { required: true } }),
      input({ name: 'email', label: 'Email', value: p.email, attributes: { type: 'email' } }),
      ...!self ? [roles(desk, m.role), choice(
        { name: 'active', label: 'State', value: String(m.active),
          hint: 'While inactive, none of their credentials opens anything here.' },
        [['true', 'active'], ['false', 'inactive']])] : [],
      self && h('p', { class: 'muted' }, 'Nobody changes their own role.'),
    ],
    async submit(data) {
      const name = entry(data, 'name')
      const email = entry(data, 'email')
      if (name !== p.name || email !== p.email) await send('PATCH', `/v1/admin/users/${p.id}`, { name, email })
      const role = entry(data, 'role')
      const active = entry(data, 'active') === 'true'
      if (!self && (role !== m.role || active !== m.active)) {
        await send('PATCH', `/v1/admin/memberships/${m.organization_id}/${p.id}`, { role, active })
      }
      forgetNames()
      say(`${name} is changed.`)
    },
  })
}

function remove(p: Person): Promise<boolean> {
  return formDialog({
    title: `Remove ${p.name}`, action: 'Remove them', danger: true, cancelFirst: true,
    content: [h('p', {}, 'They are a member of this organization no longer, and their credentials in it are retired. '
      + 'The user stays; agents they owned here go on without an owner, and their usage stays.')],
    async submit() {
      await send('DELETE', `/v1/admin/memberships/${p.membership.organization_id}/${p.id}`)
      forgetNames()
      say(`${p.name} is no member any more.`)
    },
  })
}

function retire(p: Person): Promise<boolean> {
  return formDialog({
    title: `Retire ${p.name}`, action: 'Retire them', danger: true, cancelFirst: true,
    content: [h('p', {}, 'The user goes with all memberships and credentials, and what is made again under their id opens nothing '
      + 'to old secrets. Agents they owned go on without an owner; usage with their id stays.')],
    async submit() {
      await send('DELETE', `/v1/admin/users/${p.id}`)
      forgetNames()
      say(`${p.name} is retired.`)
    },
  })
}
