// Keys: the credentials by which programs and people are let in.

import { send } from '../../api'
import { h, type Child } from '../../dom'
import { nameOf } from '../../names'
import { ago, instant } from '../../time'
import { badge, copyable } from '../../ui/figures'
import { formDialog } from '../../ui/form_dialog'
import { say } from '../../ui/toast'
import { choice, input } from './fields'
import { act, acts, listing, pageOf } from './listing'
import { showSecret } from './secret'
import { entry, kinds, whole, type Credential, type Desk, type Kind } from './things'

export function keys(desk: Desk): HTMLElement {
  const admin = desk.session.role !== 'member'
  const shown = listing<Credential>({
    title: 'Keys',
    intro: [h('p', { class: 'muted' }, admin
      ? 'Secrets are kept as hashes only. A key speaks for one agent or one user of this organization.'
      : 'Your own keys. Secrets are kept as hashes only: make a new one where one is lost.')],
    add: { label: 'Make a key', open: () => make(desk) },
    columns: [
      { name: 'Name', cell: (c) => c.name || h('span', { class: 'muted' }, '(no name)') },
      { name: 'Kind', cell: (c) => kinds[c.kind] ?? c.kind },
      { name: 'Speaks for', cell: (c) => holder(desk, c) },
      { name: 'Expires', cell: expiry },
      { name: 'Limit', numeric: true, cell: (c) => c.requests_per_minute === 0 ? 'default' : `${c.requests_per_minute}/min` },
      { name: 'Id', cell: (c) => copyable(c.id, 'id of the key', c.id.slice(0, 8)), narrow: true },
      { name: 'Actions', cell: (c) => acts(
        admin && act('Change', called(desk, c), c.id, () => { void change(c).then((did) => did && shown.refresh()) }),
        act('Retire', called(desk, c), c.id, () => { void retire(desk, c).then((did) => did && shown.refresh()) })) },
    ],
    text: (c) => [c.name, kinds[c.kind], holderName(desk, c), c.id].join(' '),
    read: pageOf('credentials', desk.organization, desk.signal),
    none: [h('p', {}, 'A program needs one to record usage, a person to read it.')],
    signal: desk.signal,
  })
  return shown.element
}

function holderName(desk: Desk, c: Credential): string {
  return c.agent_id ? nameOf(desk.names, 'agent', c.agent_id) : nameOf(desk.names, 'user', c.user_id ?? '')
}

function holder(desk: Desk, c: Credential): Child[] {
  return [h('span', { title: c.agent_id ?? c.user_id }, holderName(desk, c)),
    h('span', { class: 'muted' }, c.agent_id ? ' agent' : ' user')]
}

function called(desk: Desk, c: Credential): string {
  return `${c.name === '' ? 'the' : `“${c.name}”, the`} ${(kinds[c.kind] ?? c.kind).toLowerCase()} of ${holderName(desk, c)}`
}

function expiry(c: Credential): Child {
  if (!c.expires_at) return h('span', { class: 'muted' }, 'never')
  if (Date.parse(c.expires_at) <= Date.now()) return badge('expired', 'warn', `${ago(c.expires_at)}`)
  return instant(c.expires_at)
}

const optional = (): HTMLElement[] => [
  input({ name: 'expires_at', label: 'Expires', hint: 'At midnight UTC of this day. Empty: never.',
    attributes: { type: 'date' } }),
  input({ name: 'requests_per_minute', label: 'Requests a minute', hint: 'Empty: the node’s default.',
    attributes: { inputmode: 'numeric', maxlength: '15' } }),
]

// make asks for a new key; an agent of another tab may be chosen already.
export async function make(desk: Desk, agent = ''): Promise<boolean> {
  const admin = desk.session.role !== 'member'
  const offered: Kind[] = admin ? ['agent_secret', 'access_token', 'app_password', 'login_token'] : ['access_token', 'app_password']
  const agents = choice({ name: 'agent_id', label: 'Agent', value: agent },
    desk.names.list('agent').map((a) => [a.id, a.name || a.id]))
  const users = choice({ name: 'user_id', label: 'User', value: desk.session.user?.id ?? '' },
    desk.names.list('user').map((u) => [u.id, u.name || u.id]))
  const kind = choice({ name: 'kind', label: 'Kind', value: offered[0]!, hint: '', attributes: { onchange: () => fit() } },
    offered.map((k) => [k, whatFor[k]]))
  const chosen = () => kind.querySelector('select')!.value as Kind
  const fit = () => { agents.hidden = chosen() !== 'agent_secret'; users.hidden = !admin || !agents.hidden }
  fit()
  let made: Credential | undefined
  const did = await formDialog({
    title: 'Make a key', action: 'Make it',
    content: [kind, agents, users,
      input({ name: 'name', label: 'Name', hint: 'What it is for, as “production” or “Ben’s laptop”.' }),
      ...admin ? optional() : optional().slice(0, 1)],
    async submit(data) {
      const k = chosen()
      const body: Record<string, unknown> = {
        kind: k, name: entry(data, 'name'), organization_id: desk.organization,
        ...k === 'agent_secret' ? { agent_id: entry(data, 'agent_id') } : admin ? { user_id: entry(data, 'user_id') } : {},
        ...entry(data, 'expires_at') === '' ? {} : { expires_at: entry(data, 'expires_at') },
        ...entry(data, 'requests_per_minute') === '' ? {} : { requests_per_minute: whole(entry(data, 'requests_per_minute')) },
      }
      made = await send<Credential>('POST', '/v1/admin/credentials', body)
    },
  })
  if (made) await showSecret(made)
  return did
}

const whatFor: Record<Kind, string> = {
  agent_secret: 'Agent secret: a program records usage',
  access_token: 'Access token: a person or script reads and administers',
  app_password: 'App password: for clients that sign in by one',
  login_token: 'Login token: for Memori’s clients',
}

function change(c: Credential): Promise<boolean> {
  return formDialog({
    title: 'Change a key', action: 'Save',
    content: [
      h('p', { class: 'muted' }, 'Its secret stays. To replace that, make another key, use it, and retire this one.'),
      input({ name: 'name', label: 'Name', value: c.name }),
      ...filled(optional(), { expires_at: c.expires_at?.slice(0, 10) ?? '', requests_per_minute: c.requests_per_minute === 0 ? '' : String(c.requests_per_minute) }),
    ],
    async submit(data) {
      const until = entry(data, 'expires_at')
      const patch: Record<string, unknown> = {
        name: entry(data, 'name'), requests_per_minute: whole(entry(data, 'requests_per_minute')),
      }
      if (until !== (c.expires_at?.slice(0, 10) ?? '')) patch['expires_at'] = until === '' ? null : until
      await send('PATCH', `/v1/admin/credentials/${c.id}`, patch)
      say('The key is changed.')
    },
  })
}

function filled(fields: HTMLElement[], values: Record<string, string>): HTMLElement[] {
  for (const field of fields) {
    const control = field.querySelector('input')
    if (control) control.value = values[control.name] ?? ''
  }
  return fields
}

async function retire(desk: Desk, c: Credential): Promise<boolean> {
  return formDialog({
    title: 'Retire a key', action: 'Retire it', danger: true, cancelFirst: true,
    content: [
      h('p', {}, `This retires ${called(desk, c)}. Whoever uses it is refused from the next request on, and it cannot come back.`),
      h('p', {}, 'What was recorded with it stays.'),
    ],
    async submit() {
      await send('DELETE', `/v1/admin/credentials/${c.id}`)
      say('The key is retired.')
    },
  })
}
