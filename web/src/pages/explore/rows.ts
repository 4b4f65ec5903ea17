// The rows of an answer as a table that can be sorted and paged, with its sums.

import type { UsageAnswer, UsageRow } from '../../api'
import { decimal, sum, text, usd, type Decimal } from '../../decimal'
import { h, render, type Child } from '../../dom'
import type { Names } from '../../names'
import { type Dimension, type Question } from '../../question'
import { amount, money } from '../../ui/figures'
import { bucketFormat } from '../../ui/bucket'
import { dimensionNames, valueName } from './words'

export const pageRows = 200

interface Column {
  name: string
  numeric: boolean
  cell: (row: UsageRow) => Child
  sortBy: (row: UsageRow) => string | Decimal
  sum: (rows: UsageRow[]) => Child
}

export interface Rows { element: HTMLElement; update(answer: UsageAnswer, q: Question, known: Names): void }

export function rowsTable(): Rows {
  const element = h('div')
  let sorted = { name: '', down: false }
  let page = 0
  let columns: Column[] = []
  let rows: UsageRow[] = []
  const sort = (name: string) => {
    const first = columns.find((c) => c.name === name)?.numeric ?? false // the greatest, or the first
    sorted = sorted.name === name ? { name, down: !sorted.down } : { name, down: first }
    page = 0
    draw()
    element.querySelector<HTMLElement>('th[aria-sort] button')?.focus()
  }
  const turn = (to: number) => { page = to; draw(); element.querySelector<HTMLElement>('.table-scroll')?.focus() }
  const draw = () => {
    const column = columns.find((c) => c.name === sorted.name)
    const ordered = column ? [...rows].sort((a, b) => compare(column, a, b) * (sorted.down ? -1 : 1)) : rows
    page = Math.min(page, Math.max(0, Math.ceil(rows.length / pageRows) - 1))
    const shown = ordered.slice(page * pageRows, (page + 1) * pageRows)
    render(element, tableOf(columns, shown, rows, sorted, sort), rows.length > pageRows && pager(page, rows.length, turn))
  }
  return {
    element,
    update(answer, q, known) {
      columns = columnsOf(answer, q, known)
      rows = answer.rows
      const focused = [...element.querySelectorAll('button')].findIndex((b) => b === document.activeElement)
      draw()
      if (focused >= 0) element.querySelectorAll('button')[focused]?.focus({ preventScroll: true })
    },
  }
}

function compare(c: Column, a: UsageRow, b: UsageRow): number {
  const x = c.sortBy(a)
  const y = c.sortBy(b)
  return x < y ? -1 : x > y ? 1 : 0
}

function tableOf(
  columns: Column[], shown: UsageRow[], rows: UsageRow[], sorted: { name: string; down: boolean }, sort: (n: string) => void,
): HTMLElement {
  const classOf = (c: Column) => c.numeric ? 'num' : undefined
  const arrow = (c: Column) => c.name === sorted.name ? sorted.down ? ' ▼' : ' ▲' : ''
  const order = (c: Column) => c.name !== sorted.name ? undefined : sorted.down ? 'descending' : 'ascending'
  return h('div', { class: 'table-scroll', tabindex: '0', role: 'region', 'aria-label': 'Rows of the answer' },
    h('table', {},
      h('caption', { class: 'visually-hidden' }, 'Rows of the answer; the headers sort them.'),
      h('thead', {}, h('tr', {}, columns.map((c) => h('th', { scope: 'col', class: classOf(c), 'aria-sort': order(c) },
        h('button', { type: 'button', onclick: () => sort(c.name) }, c.name,
          h('span', { 'aria-hidden': 'true' }, arrow(c))))))),
      h('tbody', {}, shown.map((row) => h('tr', {}, columns.map((c) => h('td', { class: classOf(c) }, c.cell(row)))))),
      h('tfoot', {}, h('tr', {}, columns.map((c, i) =>
        h('td', { class: classOf(c) }, i === 0 && !c.numeric ? `${rows.length} rows` : c.sum(rows)))))))
}

function pager(page: number, rows: number, turn: (to: number) => void): HTMLElement {
  const last = Math.ceil(rows / pageRows) - 1
  const button = (label: string, to: number) =>
    h('button', { type: 'button', disabled: to < 0 || to > last, onclick: () => turn(to) }, label)
  return h('nav', { class: 'toolbar', 'aria-label': 'Pages of rows' },
    button('Previous', page - 1),
    h('span', {}, `Rows ${page * pageRows + 1} to ${Math.min(rows, (page + 1) * pageRows)} of ${rows}`),
    button('Next', page + 1))
}

const nothing = () => h('span', { class: 'muted' }, '–')

function columnsOf(answer: UsageAnswer, q: Question, known: Names): Column[] {
  const columns: Column[] = []
  if (answer.granularity !== 'total') {
    const format = bucketFormat(answer.granularity, answer.timezone)
    columns.push({
      name: 'Time', numeric: false, sum: () => null, sortBy: (r) => BigInt(Date.parse(r.time)),
      cell: (r) => h('time', { datetime: r.time, title: r.time }, format(Date.parse(r.time) / 1000)),
    })
  }
  for (const d of q.groupBy) columns.push(dimensionColumn(d, known))
  const types = new Set(answer.rows.map((r) => r['usage_type']))
  const oneType = answer.rows.every((r) => r.quantity !== null) && types.size === 1
  columns.push({
    name: 'Quantity', numeric: true, sortBy: (r) => decimal(r.quantity ?? '-1'),
    cell: (r) => r.quantity === null ? nothing() : h('span', { title: text(decimal(r.quantity)) }, text(decimal(r.quantity))),
    sum: (rows) => oneType ? text(sum(rows.map((r) => r.quantity)))
      : h('span', { class: 'muted', title: 'Quantities of different usage types are not added up.' }, '–'),
  }, eventsColumn(q), moneyColumn('Provider cost', 'provider_cost_usd'), moneyColumn('Billed cost', 'billed_cost_usd'))
  if (answer.rows.some((r) => r.unpriced_events > 0)) {
    columns.push({
      name: 'Without a price', numeric: true, sortBy: (r) => BigInt(r.unpriced_events),
      cell: (r) => r.unpriced_events === 0 ? nothing() : amount(r.unpriced_events),
      sum: (rows) => amount(rows.reduce((all, r) => all + r.unpriced_events, 0)),
    })
  }
  return columns
}

function dimensionColumn(d: Dimension, known: Names): Column {
  const name = (r: UsageRow) => r.other ? 'Other' : valueName(d, r[d], known)
  return {
    name: dimensionNames[d], numeric: false, sum: () => null, sortBy: (r) => name(r).toLowerCase(),
    cell: (r) => h('span', { title: r.other ? undefined : String(r[d] ?? ''), class: r.other ? 'muted' : undefined }, name(r)),
  }
}

function eventsColumn(q: Question): Column {
  const several = q.groupBy.includes('usage_type')
  return {
    name: 'Events', numeric: true, sortBy: (r) => BigInt(r.events ?? -1),
    cell: (r) => r.events === null ? nothing() : text(decimal(String(r.events))),
    sum: (rows) => several || rows.some((r) => r.events === null)
      ? h('span', { class: 'muted', title: 'An event counts in each of its usage types.' }, '–')
      : text(decimal(String(rows.reduce((all, r) => all + (r.events ?? 0), 0)))),
  }
}

function moneyColumn(name: string, member: 'provider_cost_usd' | 'billed_cost_usd'): Column {
  return {
    name, numeric: true, sortBy: (r) => decimal(r[member]), cell: (r) => money(r[member]),
    sum: (rows) => {
      const all = sum(rows.map((r) => r[member]))
      return h('span', { title: `${text(all)} USD`, 'data-sum': member }, usd(all))
    },
  }
}
