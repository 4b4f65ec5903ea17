// Whose usage is looked at. A superadmin may choose any organization; the choice is in the URL as
// organization_id, so that a link shows the same to another superadmin.

import { Failed, type Named, type Session } from './api'
import { h } from './dom'
import { all } from './names'

export const organizationParameter = 'organization_id'

// organizationOf is the chosen organization's id, "" for the session's own.
export function organizationOf(session: Session, parameters: URLSearchParams): string {
  if (session.role !== 'superadmin') return ''
  const id = parameters.get(organizationParameter) ?? ''
  return id === session.organization.id ? '' : id
}

// organizationPicker lets a superadmin choose; everybody else, and whoever has nothing to choose,
// gets an element that takes no room. "Chosen" is called with an id, "" for the session's own.
export function organizationPicker(
  session: Session, current: string, chosen: (id: string) => void,
): HTMLElement {
  const element = h('div', { class: 'field organization', hidden: true })
  if (session.role !== 'superadmin') return element
  void all('organizations').then((list) => {
    const others = list.filter((o) => o.id !== session.organization.id)
    if (others.length === 0 && current === '') return
    element.append(...select(session, others, current, chosen))
    element.hidden = false
  }).catch((error: unknown) => {
    if (!(error instanceof Failed)) console.error(error)
  })
  return element
}

function select(
  session: Session, others: Named[], current: string, chosen: (id: string) => void,
): HTMLElement[] {
  const unknown = current !== '' && !others.some((o) => o.id === current)
  const options: Named[] = [session.organization, ...others.sort((a, b) => a.name.localeCompare(b.name)),
    ...unknown ? [{ id: current, name: current }] : []]
  const choice = h('select', {
    id: 'organization-choice',
    onchange: () => chosen(choice.value === session.organization.id ? '' : choice.value),
  }, options.map((o) => h('option', {
    value: o.id, selected: o.id === (current || session.organization.id),
  }, o.name)))
  return [h('label', { for: 'organization-choice' }, 'Organization'), choice]
}
