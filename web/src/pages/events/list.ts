// The list of events: what is asked for is in the URL, the newest come by themselves.

import { Failed, get, query } from '../../api'
import { h, render } from '../../dom'
import { every, type Context } from '../../page'
import { go, replace } from '../../router'
import { empty, failed, load, loading } from '../../ui/state'
import { command } from '../../ui/figures'
import { who, type Who } from '../who'
import type { EventPage, Revision } from './event'
import { parametersOf, questionOf, type Question } from './question'
import { arrows, eventTable } from './row'
import { filters } from './search'

const pageSize = 50

interface List {
  context: Context
  question: Question
  who: Who
  events: Revision[]
  next: string | null
  body: HTMLElement
  note: HTMLElement
  shown: string // what is drawn, so that the same is not drawn again
}

// openList draws the search and the events it finds.
export async function openList(context: Context): Promise<void> {
  const { into, signal } = context
  const question = questionOf(context.route.parameters)
  const body = h('div', { class: 'event-list' }, loading(8))
  const note = h('p', { class: 'muted', 'aria-live': 'off' })
  const form = h('div')
  render(into, h('div', { class: 'page-head' }, h('h1', {}, 'Events'), note), form, body)
  const names = await who(context.session)
  if (signal.aborted) return
  const list: List = {
    context, question, who: names, events: [], next: null, body, note, shown: '',
  }
  render(form, filters(context, question, names, (next) => {
    if (parametersOf(next).toString() === parametersOf(list.question).toString()) return
    replace(['events'], parametersOf(next))
    list.question = next
    list.events = []
    list.shown = ''
    void first(list)
  }))
  arrows(body)
  await first(list)
  every(3, signal, () => newest(list))
}

function ask(list: List, cursor?: string): Promise<EventPage> {
  const { agent, user, model, from, to } = list.question
  return get<EventPage>(`/v1/events${query({
    agent_id: agent, user_id: user, model, from: instantOf(from), to: instantOf(to), limit: pageSize, cursor,
  })}`, list.context.signal)
}

// instantOf reads what a field for a local time holds; a whole instant stays as it is.
function instantOf(local: string): string {
  const time = new Date(local)
  return local === '' || Number.isNaN(time.getTime()) ? local : time.toISOString()
}

async function first(list: List): Promise<void> {
  const question = list.question
  await load(list.body, list.context.signal, async () => {
    const page = await ask(list)
    if (question !== list.question) return []
    list.events = page.items
    list.next = page.next_cursor
    return drawn(list)
  }, 8)
}

// newest puts what has come since in front of what is shown, unless the range is over.
async function newest(list: List): Promise<void> {
  const { question } = list
  if (question.to !== '' && new Date(question.to).getTime() < Date.now()) return
  let page: EventPage
  try {
    page = await ask(list)
  } catch (error) {
    if (error instanceof Failed) list.note.textContent = `Not up to date: ${error.message}`
    return
  }
  if (question !== list.question) return
  const merged = merge(page.items, list.events, page.next_cursor === null)
  if (list.events.length <= page.items.length) list.next = page.next_cursor
  list.events = merged
  if (key(merged) === list.shown) { say(list); return }
  keepingFocus(list.body, () => render(list.body, drawn(list)))
}

// merge puts the newest page before the older events. Of events that are in both the newest page
// counts; what is not in it any more, though newer than its last, was voided or is another's now.
export function merge(newest: Revision[], older: Revision[], whole: boolean): Revision[] {
  if (whole || newest.length === 0) return newest
  const known = new Set(newest.map((e) => e.id))
  const last = Date.parse(newest[newest.length - 1]!.time)
  return [...newest, ...older.filter((e) => !known.has(e.id) && Date.parse(e.time) <= last)]
}

function key(events: Revision[]): string { return events.map((e) => `${e.id}.${e.revision}`).join(' ') }

function drawn(list: List): HTMLElement[] {
  list.shown = key(list.events)
  say(list)
  if (list.events.length === 0) return [nothing(list)]
  const more = h('button', { type: 'button', class: 'more', onclick: () => { void older(list, more) } },
    'Load more')
  const end = h('p', { class: 'muted' }, 'These are all.')
  return [eventTable('Events, the newest first', list.events, list.who),
    h('div', { class: 'pager' }, list.next === null ? end : more)]
}

function say(list: List): void {
  const n = list.events.length
  list.note.textContent = n === 0 ? '' : `${n} ${n === 1 ? 'event' : 'events'} shown, newest first; it follows by itself`
}

async function older(list: List, button: HTMLButtonElement): Promise<void> {
  if (list.next === null) return
  const { question } = list
  button.disabled = true
  try {
    const page = await ask(list, list.next)
    if (question !== list.question) return
    const at = list.events.length
    const known = new Set(list.events.map((e) => e.id))
    list.events = [...list.events, ...page.items.filter((e) => !known.has(e.id))]
    list.next = page.next_cursor
    render(list.body, drawn(list))
    list.body.querySelectorAll<HTMLElement>('.row-link')[at]?.focus()
  } catch (error) {
    button.disabled = false
    button.parentElement?.replaceChildren(failed(error, () => { void older(list, button) }))
  }
}

// keepingFocus draws anew and gives the focus back to the row that had it; a selection of text
// that is being made waits for the next time.
export function keepingFocus(into: HTMLElement, draw: () => void): void {
  const selection = document.getSelection()
  if (selection && !selection.isCollapsed && into.contains(selection.anchorNode)) return
  const active = into.contains(document.activeElement) ? document.activeElement as HTMLElement : null
  const id = active?.dataset['id']
  const more = active?.classList.contains('more') ?? false
  const scrolled = into.querySelector('.table-scroll')?.scrollLeft ?? 0
  draw()
  const scroll = into.querySelector('.table-scroll')
  if (scroll) scroll.scrollLeft = scrolled
  const next = more ? '.more' : id ? `[data-id="${CSS.escape(id)}"]` : ''
  if (next !== '') into.querySelector<HTMLElement>(next)?.focus({ preventScroll: true })
}

function nothing(list: List): HTMLElement {
  const { agent, user, model, from, to } = list.question
  if ([agent, user, model, from, to].some((f) => f !== '')) {
    return empty('No event fits these filters.', h('button', {
      type: 'button', onclick: () => go(['events']),
    }, 'Show all events'))
  }
  return empty('Nothing was recorded yet.', h('p', {}, 'The first event comes with one request:'), command(
    `curl ${location.origin}/v1/events -H 'Authorization: Bearer YOUR_TOKEN' `
    + `-H 'Content-Type: application/json' -d '{"model": "gpt-4o-mini", "usage": {"INPUT": 1200, "OUTPUT": 350}}'`))
}
