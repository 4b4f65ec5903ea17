// What agents and users are called. Admins may read the catalog; everybody else knows their own
// name, and sees other ids shortened.

import { Failed, get, query, type Named, type Session } from './api'
import { h } from './dom'
import { brief } from './ui/figures'

export type Kind = 'agent' | 'user'

export interface Names {
  list(kind: Kind): Named[] // by name
  name(kind: Kind, id: string): string | undefined
}

const pages = 10 // of a thousand: more are found by their ids
const keptFor = 60_000

interface Kept { at: number; names: Promise<Names> }

const kept = new Map<string, Kept>()

// forgetNames has the catalog read anew: it was changed, or somebody else signed in.
export function forgetNames(): void { kept.clear() }

// names answers from the catalog of an organization (of the session without one), read once a
// minute. It never fails: without the catalog there are ids.
export function names(session: Session, organization = ''): Promise<Names> {
  const key = `${session.organization.id} ${session.user?.id ?? session.agent?.id ?? ''} ${organization}`
  const before = kept.get(key)
  if (before && Date.now() - before.at < keptFor) return before.names
  const reading = read(session, organization)
  kept.set(key, { at: Date.now(), names: reading })
  return reading
}

async function read(session: Session, organization: string): Promise<Names> {
  const found: Record<Kind, Named[]> = {
    agent: session.agent ? [session.agent] : [],
    user: session.user ? [session.user] : [],
  }
  if (session.role === 'admin' || session.role === 'superadmin') {
    const id = organization || session.organization.id
    try {
      const [agents, users] = await Promise.all([all('agents', id), all('users')])
      found.agent = agents
      found.user = [...users, ...found.user.filter((own) => !users.some((u) => u.id === own.id))]
    } catch (error) {
      if (!(error instanceof Failed)) throw error
    }
  }
  return namesOf(found)
}

// namesOf makes names of lists.
export function namesOf(found: Record<Kind, Named[]>): Names {
  const byName = (a: Named, b: Named) => a.name.localeCompare(b.name)
  const index = (list: Named[]) => new Map(list.map((each) => [each.id, each.name]))
  const lists = { agent: [...found.agent].sort(byName), user: [...found.user].sort(byName) }
  const indexes = { agent: index(found.agent), user: index(found.user) }
  return {
    list: (kind) => lists[kind],
    name: (kind, id) => indexes[kind].get(id),
  }
}

// all reads every page of a collection of the admin API, as far as anybody would scroll.
export async function all(collection: string, organization = ''): Promise<Named[]> {
  const items: Named[] = []
  let cursor = ''
  for (let page = 0; page < pages; page++) {
    const answer = await get<{ items: Named[]; next_cursor: string | null }>(
      `/v1/admin/${collection}${query({ organization_id: organization, limit: 1000, cursor })}`)
    items.push(...answer.items)
    if (!answer.next_cursor) break
    cursor = answer.next_cursor
  }
  return items
}

// nameOf is the name of an id, or its beginning where nobody told us.
export function nameOf(known: Names, kind: Kind, id: string): string {
  if (id === '') return kind === 'agent' ? '(no agent)' : '(no user)'
  return known.name(kind, id) || brief(id)
}

// who is a name in a table; its title has the id. With an address it is a link.
export function who(known: Names, kind: Kind, id: string, href?: string): HTMLElement {
  const shown = nameOf(known, kind, id)
  const attributes = { title: id || undefined, class: known.name(kind, id) || id === '' ? undefined : 'mono' }
  return href ? h('a', { ...attributes, href }, shown) : h('span', attributes, shown)
}
