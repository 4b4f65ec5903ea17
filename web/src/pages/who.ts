// Agents and users of events as links and names, over the names that the session may see.

import type { Named, Session } from '../api'
import { h } from '../dom'
import { names, who as named } from '../names'
import { format } from '../router'
import { brief } from '../ui/figures'
import { actor } from './events/event'

export interface Who {
  agents: Named[]
  users: Named[]
  agent(id: string): string | undefined
  user(id: string): string | undefined
  agentLink(id: string | undefined): HTMLElement
  userText(id: string | undefined): HTMLElement
  actorText(recorded: string | undefined): HTMLElement
}

// who has the names of an organization's agents and users, the session's without one.
export async function who(session: Session, organization = ''): Promise<Who> {
  const known = await names(session, organization)
  return {
    agents: known.list('agent'),
    users: known.list('user'),
    agent: (id) => known.name('agent', id),
    user: (id) => known.name('user', id),
    agentLink: (id = '') => named(known, 'agent', id, id === '' ? undefined : format(['agents', id])),
    userText: (id = '') => named(known, 'user', id),
    actorText: (recorded = '') => {
      const { id, rest } = actor(recorded)
      const text = known.name('user', id) ?? (rest === '' ? id || 'somebody' : `user ${brief(id)}`)
      return h('span', { title: recorded }, text)
    },
  }
}

