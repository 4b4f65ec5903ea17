import { openAgents } from './agents/list'
import { openAgent } from './agents/one'
import type { Page } from '../page'

// Agents: the list at #/agents, one of them at #/agents/<id>. An agent's secret sees its agent.
export const agents: Page = {
  title: 'Agents',
  open(context) {
    const id = context.route.path[1] ?? context.session.agent?.id
    return id === undefined ? openAgents(context) : openAgent(context, id)
  },
}
