// The search of the events' page: an id opens its event, filters narrow the list.

import { Failed, get } from '../../api'
import { h, render } from '../../dom'
import type { Context } from '../../page'
import { go } from '../../router'
import type { Who } from '../who'
import type { EventHistory } from './event'
import type { Question } from './question'

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

// filters draws the search box and the filters; `changed` hears of every new question.
export function filters(
  context: Context, q: Question, who: Who, changed: (q: Question) => void,
): HTMLElement {
  return h('div', { class: 'card' }, search(context), narrow(context, q, who, changed))
}

function search(context: Context): HTMLElement {
  const problem = h('p', { class: 'field-error', role: 'alert', id: 'find-problem' })
  const input = h('input', {
    id: 'find', type: 'search', 'data-search': true, maxlength: 400, spellcheck: 'false', autocomplete: 'off',
    placeholder: 'An event’s id, or the id it was sent with', 'aria-describedby': 'find-problem',
  })
  const find = async (e: Event) => {
    e.preventDefault()
    const id = input.value.trim()
    render(problem)
    if (id === '') return
    try {
      // The history finds voided ones too.
      const found = await get<EventHistory>(`/v1/events/${encodeURIComponent(id)}/history`, context.signal)
      go(['events', found.id])
    } catch (error) {
      if (context.signal.aborted) return
      const missing = error instanceof Failed && error.status === 404
      render(problem, missing ? 'No event that you may see has this id.'
        : error instanceof Failed ? error.message : 'The console failed; try again.')
      input.focus()
    }
  }
  return h('form', { class: 'find', role: 'search', onsubmit: find },
    h('div', { class: 'field' }, h('label', { for: 'find' }, 'Find an event'), input, problem),
    h('button', { type: 'submit' }, 'Open'))
}

function narrow(
  context: Context, q: Question, who: Who, changed: (q: Question) => void,
): HTMLElement {
  const { role } = context.session
  const agent = choice('agent', 'Agent', q.agent, who.agents)
  const user = choice('user', 'User', q.user, who.users)
  const model = field('model', 'Model', 'text', q.model)
  const from = field('from', 'From', 'datetime-local', q.from)
  const to = field('to', 'Until before', 'datetime-local', q.to)
  const apply = (e: Event) => {
    e.preventDefault()
    if (![agent, user].every((c) => c.check())) return
    changed({
      agent: agent.value(), user: user.value(), model: model.input.value.trim(),
      from: from.input.value, to: to.input.value,
    })
  }
  const clear = () => {
    for (const f of [agent, user, model, from, to]) f.input.value = ''
    changed({ agent: '', user: '', model: '', from: '', to: '' })
  }
  const open = matchMedia('(min-width: 641px)').matches || Object.values(q).some((v) => v !== '')
  return h('details', { open }, h('summary', {}, 'Filters'), h('form', { class: 'fields', onsubmit: apply,
    onchange: apply },
    role !== 'agent' && agent.element,
    (role === 'admin' || role === 'superadmin') && user.element,
    model.element, from.element, to.element,
    h('button', { type: 'submit' }, 'Filter'),
    h('button', { type: 'button', class: 'link', onclick: clear }, 'Clear')))
}

function field(id: string, label: string, type: string, value: string) {
  const input = h('input', {
    id, type, value, maxlength: 256, autocomplete: 'off', spellcheck: 'false',
      step: type === 'datetime-local' ? 1 : undefined,
  })
  return { input, element: h('div', { class: 'field' }, h('label', { for: id }, label), input) }
}

// choice takes a name that is known, or an id.
function choice(id: string, label: string, value: string, known: { id: string; name: string }[]) {
  const named = known.find((k) => k.id === value)
  const { input, element } = field(id, label, 'text', named?.name ?? value)
  input.setAttribute('placeholder', known.length > 0 ? 'Name or id' : 'Id')
  if (known.length > 0) {
    input.setAttribute('list', `${id}-known`)
    element.append(h('datalist', { id: `${id}-known` }, known.slice(0, 500).map((k) => h('option',
      { value: k.name }))))
  }
  const entered = () => {
    const text = input.value.trim().toLowerCase()
    return known.find((k) => k.id === text || k.name.toLowerCase() === text)?.id ?? text
  }
  const check = () => {
    const fine = entered() === '' || uuid.test(entered())
    input.setCustomValidity(fine ? '' : `No ${label.toLowerCase()} has this name; an id is fine, too.`)
    return input.reportValidity()
  }
  input.addEventListener('input', () => input.setCustomValidity(''))
  return { input, element, value: entered, check }
}
