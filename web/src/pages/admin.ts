import { h, render } from '../dom'
import { names } from '../names'
import { organizationOf, organizationPicker } from '../organization'
import type { Context, Page } from '../page'
import { format, go } from '../router'
import { failed, loading } from '../ui/state'
import { agents } from './admin/agents'
import { changes } from './admin/changes'
import { keys } from './admin/keys'
import { organizations } from './admin/organizations'
import { people } from './admin/people'
import { rates } from './admin/rates'
import type { Desk } from './admin/things'

interface Tab { name: string; label: string; open(desk: Desk): HTMLElement | HTMLElement[] }

const tabs: Tab[] = [
  { name: 'keys', label: 'Keys', open: keys },
  { name: 'agents', label: 'Agents', open: agents },
  { name: 'users', label: 'Users', open: people },
  { name: 'rates', label: 'Rates', open: rates },
  { name: 'organizations', label: 'Organizations', open: organizations },
  { name: 'changes', label: 'Changes', open: changes },
]

// A member has keys alone: docs/admin.md, "Who may".
function tabsOf(role: Context['session']['role']): Tab[] {
  return role === 'member' ? tabs.slice(0, 1) : tabs
}

export const admin: Page = {
  title: 'Admin',
  open({ into, session, route, signal }) {
    const offered = tabsOf(session.role)
    const tab = offered.find((t) => t.name === route.path[1]) ?? offered[0]!
    const chosen = organizationOf(session, route.parameters)
    const addressed = (organization: string) =>
      organization === '' ? undefined : new URLSearchParams({ organization_id: organization })
    const body = h('div', { class: 'stack' }, loading(6))
    const open = async () => {
      const desk: Desk = {
        session, signal, organization: chosen || session.organization.id,
        names: await names(session, chosen), reload: () => { void open() },
      }
      if (signal.aborted) return
      try { render(body, tab.open(desk)) } catch (error) { render(body, failed(error)) }
    }
    render(into,
      h('div', { class: 'page-head' }, h('h1', {}, 'Admin'),
        organizationPicker(session, chosen, (id) => go(['admin', tab.name], addressed(id)))),
      offered.length > 1 && h('nav', { class: 'tabs', 'aria-label': 'Administration' },
        h('ul', {}, offered.map((t) => h('li', {}, h('a', {
          href: format(['admin', t.name], addressed(chosen)), 'aria-current': t === tab ? 'page' : undefined,
        }, t.label))))),
      body)
    return open()
  },
}
