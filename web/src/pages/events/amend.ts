// Amending: a form over the event, what it changes below it, and the revision that it is based on,
// so that nobody overwrites what somebody else has just corrected.

import { Failed, send } from '../../api'
import { h, render } from '../../dom'
import { formDialog } from '../../ui/form_dialog'
import type { Who } from '../who'
import { labelOf, members, type Member, type Revision } from './event'
import { changeList } from './history'
import { draftOf, editsOf, patchOf, type Draft, type Patch } from './patch'
import { ifMatch, meanwhile, pathOf, reasonField } from './void'

// amend asks what the event should be, and makes it so; true when it is done. `look` shows the
// event as it is now.
export function amend(e: Revision, who: Who, look: () => Promise<void>): Promise<boolean> {
  const start = draftOf(e)
  const usage = usageFields(start.usage)
  const fields = h('div', { class: 'form-grid' },
    members.map((m) => textField(m, start.texts[m])),
    pick('agent_id', start.agent, who.agents), pick('user_id', start.user, who.users),
    textField('cost_usd', start.cost, 'decimal', 'none: the rates price it'),
      chargeableField(start.chargeable))
  const review = h('div', { class: 'review' })
  const content = h('div', { class: 'stack', oninput: () => show(), onchange: () => show() },
    usage, fields)
  const patch = () => patchOf(e, read(content, start))
  const show = () => {
    const edits = editsOf(e, patch())
    render(review, h('h3', {}, 'What changes'),
      edits.length === 0 ? h('p', { class: 'muted' }, 'Nothing yet.') : changeList(edits, who))
  }
  show()
  return formDialog({
    title: 'Amend this event',
    content: [
      h('p', { class: 'muted' }, 'The present revision is taken back and the next one counts, in every sum. ',
        'What changes is priced by the rates of the event’s own time; id, time and organization stay.'),
      content, review, reasonField(),
    ],
    action: 'Amend the event',
    wide: true,
    submit: (data) => apply(e, patch(), String(data.get('reason')).trim()),
    explain: (error) => meanwhile(error, e, who, look),
  })
}

async function apply(e: Revision, patch: Patch, reason: string): Promise<void> {
  if (Object.keys(patch).length === 0) throw new Failed(422, 'Nothing is changed yet.')
  await send('PATCH', pathOf(e, reason), patch, { ...ifMatch(e),
    'Content-Type': 'application/merge-patch+json' })
}

function textField(name: string, value: string, inputmode = 'text', placeholder?: string): HTMLElement {
  const id = `amend-${name}`
  return h('div', { class: 'field' }, h('label', { for: id }, labelOf(name)),
    h('input', { id, name, value, inputmode, placeholder, maxlength: 4096, autocomplete: 'off',
      spellcheck: 'false' }))
}

function pick(name: string, value: string, known: { id: string; name: string }[]): HTMLElement {
  const id = `amend-${name}`
  const options = [{ id: '', name: 'none' }, ...known]
  if (!options.some((o) => o.id === value)) options.push({ id: value, name: value })
  return h('div', { class: 'field' }, h('label', { for: id }, labelOf(name)),
    h('select', { id, name }, options.map((o) =>
      h('option', { value: o.id, selected: o.id === value }, o.name))))
}

function chargeableField(value: boolean): HTMLElement {
  return h('div', { class: 'field check' },
    h('input', { id: 'amend-chargeable', name: 'chargeable', type: 'checkbox', checked: value }),
    h('label', { for: 'amend-chargeable' }, 'Chargeable'))
}

function usageFields(usage: [string, string][]): HTMLElement {
  const rows = h('div', { class: 'usage-rows' }, usage.map(([type, quantity]) => usageRow(type, quantity)))
  const add = () => {
    const row = usageRow('', '')
    rows.append(row)
    row.querySelector('input')?.focus()
  }
  return h('fieldset', {}, h('legend', {}, 'Usage'), rows,
    h('button', { type: 'button', class: 'link', onclick: add }, 'Add a usage type'))
}

let rowsMade = 0

function usageRow(type: string, quantity: string): HTMLElement {
  const n = ++rowsMade
  const value = h('input', {
    id: `quantity-${n}`, class: 'num', value: quantity, inputmode: 'decimal', 'data-quantity': true,
    'data-field': `usage.${type}`, required: true, maxlength: 40, autocomplete: 'off',
    'aria-label': type === '' ? 'Quantity' : undefined,
  })
  const name = type !== '' ? h('label', { for: value.id, 'data-type': type }, type)
    : h('input', {
      'data-type': '', 'aria-label': 'Usage type', placeholder: 'USAGE_TYPE', maxlength: 64, required: true,
        pattern: '[A-Z][A-Z0-9_]*',
      autocomplete: 'off', oninput: (e: Event) => {
        value.dataset['field'] = `usage.${(e.target as HTMLInputElement).value.trim()}`
      },
    })
  const remove = () => {
    const above = row.parentElement
    row.remove()
    above?.dispatchEvent(new Event('input', { bubbles: true }))
    above?.parentElement?.querySelector<HTMLElement>('button.link')?.focus()
  }
  const row = h('div', { class: 'field usage-row' }, name, value,
    h('button', { type: 'button', class: 'copy', onclick: remove,
      'aria-label': `Remove ${type || 'this usage type'}` }, 'Remove'))
  return row
}

// read is what the form holds now.
function read(form: HTMLElement, start: Draft): Draft {
  const text = (name: string) => form.querySelector<HTMLInputElement | HTMLSelectElement>(`[name="${name}"]`)?.value ?? ''
  return {
    usage: [...form.querySelectorAll<HTMLElement>('.usage-row')].map((row): [string, string] => {
      const name = row.querySelector<HTMLElement>('[data-type]')!
      return [name instanceof HTMLInputElement ? name.value : name.dataset['type']!,
        row.querySelector<HTMLInputElement>('[data-quantity]')!.value]
    }),
    texts: Object.fromEntries(members.map((m) => [m, text(m)])) as Record<Member, string>,
    agent: text('agent_id'),
    user: text('user_id'),
    chargeable: form.querySelector<HTMLInputElement>('[name="chargeable"]')?.checked ?? start.chargeable,
    cost: text('cost_usd'),
  }
}
