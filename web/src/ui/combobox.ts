// A text field that proposes: type to narrow, arrows to choose, Enter to take. It follows the
// combobox pattern of the ARIA practices; the focus never leaves the field.

import { h } from '../dom'

export interface Option { value: string; label: string; detail?: string }

export interface ComboboxOptions {
  id: string
  label: string
  value?: string
  placeholder?: string
  options: () => Option[] | Promise<Option[]> // asked for when the list opens
  chosen: (value: string) => void
  free?: boolean // what is typed may be taken though nobody proposed it
  clears?: boolean // the field is emptied after a choice: for adding to a list
}

const shownMax = 60

export interface Combobox { element: HTMLElement; input: HTMLInputElement }

export function combobox(o: ComboboxOptions): Combobox {
  const list = h('ul', { id: `${o.id}-list`, role: 'listbox', 'aria-label': o.label, class: 'options', hidden: true })
  const input = h('input', {
    id: o.id, type: 'text', role: 'combobox', autocomplete: 'off', spellcheck: 'false', maxlength: '256',
    'aria-expanded': 'false', 'aria-controls': `${o.id}-list`, 'aria-autocomplete': 'list',
    placeholder: o.placeholder, value: o.value,
  })
  const state: State = { o, input, list, matches: [], active: -1, taken: o.value ?? '', opening: 0 }
  input.addEventListener('input', () => { void open(state, input.value) })
  input.addEventListener('click', () => { if (list.hidden) void open(state, '') })
  input.addEventListener('keydown', (e) => key(state, e))
  input.addEventListener('blur', () => leave(state))
  const element = h('div', { class: 'field combobox' }, h('label', { for: o.id }, o.label), input, list)
  return { element, input }
}

interface State {
  o: ComboboxOptions
  input: HTMLInputElement
  list: HTMLElement
  matches: Option[]
  active: number
  taken: string
  opening: number // the number of the last opening: an older one that is answered late shows nothing
}

async function open(s: State, typed: string): Promise<void> {
  const opening = ++s.opening
  let all: Option[]
  try { all = await s.o.options() } catch { all = [] }
  if (opening !== s.opening || document.activeElement !== s.input) return
  s.matches = narrow(all, typed).slice(0, shownMax)
  s.active = typed !== '' && s.matches.length > 0 && !s.o.free ? 0 : -1
  s.list.replaceChildren(...s.matches.map((m, i) => h('li', {
    id: `${s.o.id}-${i}`, role: 'option', 'aria-selected': 'false', title: m.detail,
    onmousedown: (e: Event) => { e.preventDefault(); take(s, m) },
  }, m.label, m.detail ? h('span', { class: 'muted' }, m.detail) : null)))
  if (s.matches.length === 0) s.list.replaceChildren(h('li', { role: 'option', 'aria-disabled': 'true', class: 'muted' },
    s.o.free ? 'Nothing like it: Enter takes what is typed.' : 'Nothing like it.'))
  s.list.hidden = false
  s.input.setAttribute('aria-expanded', 'true')
  mark(s)
}

// narrow keeps what has every typed word in its label or detail, what starts with it first.
export function narrow(all: Option[], typed: string): Option[] {
  const words = typed.trim().toLowerCase().split(/[\s_/]+/).filter((w) => w !== '')
  if (words.length === 0) return all
  const textOf = (m: Option) => `${m.label} ${m.detail ?? ''} ${m.value}`.toLowerCase()
  const found = all.filter((m) => words.every((w) => textOf(m).includes(w)))
  const starts = (m: Option) => m.label.toLowerCase().startsWith(words[0]!)
  return [...found.filter(starts), ...found.filter((m) => !starts(m))]
}

function mark(s: State): void {
  for (const [i, item] of [...s.list.children].entries()) {
    item.setAttribute('aria-selected', String(i === s.active))
    if (i === s.active) item.scrollIntoView({ block: 'nearest' })
  }
  if (s.active < 0) s.input.removeAttribute('aria-activedescendant')
  else s.input.setAttribute('aria-activedescendant', `${s.o.id}-${s.active}`)
}

function close(s: State): void {
  s.opening++
  s.list.hidden = true
  s.active = -1
  s.input.setAttribute('aria-expanded', 'false')
  s.input.removeAttribute('aria-activedescendant')
}

function take(s: State, m: Option): void {
  close(s)
  s.taken = s.o.clears ? '' : m.label
  s.input.value = s.taken
  s.o.chosen(m.value)
}

function key(s: State, e: KeyboardEvent): void {
  if (e.key === 'Escape' && !s.list.hidden) { e.preventDefault(); close(s); s.input.value = s.taken; return }
  if (e.key === 'Enter') {
    e.preventDefault()
    const typed = s.input.value.trim()
    const match = s.matches[s.active] ?? s.matches.find((m) => m.label === typed || m.value === typed)
    if (!s.list.hidden && match) take(s, match)
    else if (s.o.free && typed !== '') take(s, { value: typed, label: typed })
    return
  }
  if (e.key !== 'ArrowDown' && e.key !== 'ArrowUp') return
  e.preventDefault()
  if (s.list.hidden) { void open(s, ''); return }
  const count = s.matches.length
  if (count === 0) return
  s.active = e.key === 'ArrowDown' ? (s.active + 1) % count : (s.active + count - (s.active < 0 ? 0 : 1)) % count
  mark(s)
}

// leave takes what was typed in full, and puts back what stood there otherwise.
function leave(s: State): void {
  const typed = s.input.value.trim()
  const match = s.list.hidden ? undefined : s.matches.find((m) => m.label === typed || m.value === typed)
  close(s)
  if (match && typed !== s.taken) take(s, match)
  else s.input.value = s.taken
}
