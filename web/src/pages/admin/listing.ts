// A list of things with what can be done with each: searched, paged, and kept up to date.

import { get, query } from '../../api'
import { h, render, type Child } from '../../dom'
import { every } from '../../page'
import { empty, load } from '../../ui/state'
import { table, type Column } from '../../ui/table'
import type { Page } from './things'

export interface Listing<Row> {
  title: string
  intro?: Child[]
  add?: { label: string; open(): Promise<boolean> }
  columns: Column<Row>[]
  text(row: Row): string // what a search looks through
  read(cursor: string | undefined): Promise<Page<Row>>
  none: Child[] // what to do where there is nothing
  signal: AbortSignal
}

const seconds = 10

// listing is a card that reads its rows itself; its refresh is for what a change has made old.
export function listing<Row>(o: Listing<Row>): { element: HTMLElement; refresh(): void } {
  const body = h('div', { class: 'listing' })
  const search = h('input', {
    type: 'search', 'data-search': true, 'aria-label': `Search ${o.title}`, placeholder: 'Search (press /)',
    oninput: () => draw(), spellcheck: 'false',
  })
  let rows: Row[] = []
  let next: string | null = null
  let shown = ''
  const take = (page: Page<Row>, before: Row[]) => { rows = [...before, ...page.items]; next = page.next_cursor }
  const draw = () => {
    const wanted = search.value.trim().toLowerCase()
    const found = rows.filter((row) => o.text(row).toLowerCase().includes(wanted))
    const held = focusOf(body)
    render(body, rows.length === 0 ? empty(`No ${o.title.toLowerCase()} yet.`, ...o.none)
      : found.length === 0 ? empty(`Nothing here matches “${search.value.trim()}”.`,
        next !== null && h('p', {}, 'There are more than those shown: show them and search again.'))
        : table(o.title, o.columns, found), more())
    focusOn(body, held)
  }
  const more = () => next !== null && h('div', { class: 'actions' },
    h('button', { type: 'button', 'data-key': 'more', onclick: () => { void further() } }, 'Show more'))
  const further = async () => { take(await o.read(next ?? undefined), rows); draw() }
  const first = () => load(body, o.signal, async () => {
    take(await o.read(undefined), [])
    shown = JSON.stringify(rows)
    window.setTimeout(draw)
    return null
  })
  const again = async () => {
    if (document.querySelector('dialog[open]') || rows.length > 100) return
    const page = await o.read(undefined)
    if (JSON.stringify(page.items) === shown) return
    take(page, [])
    shown = JSON.stringify(rows)
    draw()
  }
  let begun = false
  every(seconds, o.signal, () => { if (begun) return again(); begun = true; return first() })
  const add = o.add
  const element = h('section', { class: 'card', 'aria-label': o.title },
    h('div', { class: 'page-head' }, h('h2', {}, o.title),
      h('div', { class: 'actions finding' }, search, add && h('button', {
        type: 'button', class: 'primary',
        onclick: async () => { if (await add.open()) await again() },
      }, add.label))),
    ...o.intro ?? [], body)
  return { element, refresh: () => { void again().catch(() => undefined) } }
}

// pageOf reads one page of a collection of the admin API.
export function pageOf<Row>(
  collection: string, organization: string, signal: AbortSignal, limit = 100,
): (cursor: string | undefined) => Promise<Page<Row>> {
  return (cursor) => get<Page<Row>>(
    `/v1/admin/${collection}${query({ organization_id: organization, limit, cursor })}`, signal)
}

// act is a button of a row. Its key finds it again when the table is drawn anew.
export function act(label: string, of: string, id: string, f: () => void): HTMLElement {
  return h('button', {
    type: 'button', class: 'link', 'data-key': `${label} ${id}`, 'aria-label': `${label} ${of}`, onclick: f,
  }, label)
}

// acts are the buttons of a row side by side.
export function acts(...buttons: Child[]): HTMLElement {
  return h('div', { class: 'acts' }, ...buttons)
}

function focusOf(body: HTMLElement): string | undefined {
  const active = document.activeElement
  return active instanceof HTMLElement && body.contains(active) ? active.dataset['key'] : undefined
}

function focusOn(body: HTMLElement, key: string | undefined): void {
  if (key !== undefined) body.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`)?.focus()
}
