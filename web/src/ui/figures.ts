// Numbers, ids and states as they stand in tables: short to look at, exact in their title.

import { decimal, short, text, usd, type Decimal } from '../decimal'
import { h } from '../dom'
import { say } from './toast'

// money shows dollars; the title has every digit.
export function money(amount: string | Decimal): HTMLElement {
  const exact = typeof amount === 'string' ? decimal(amount) : amount
  return h('span', { title: `${text(exact)} USD` }, usd(exact))
}

// amount shows a quantity in three digits and a unit; the title has every digit.
export function amount(quantity: string | Decimal | number): HTMLElement {
  const exact = typeof quantity === 'bigint' ? quantity : decimal(String(quantity))
  return h('span', { title: text(exact) }, short(exact))
}

export type Tone = 'good' | 'warn' | 'bad' | ''

// badge says a state in a word; its colour repeats it.
export function badge(word: string, tone: Tone = '', title?: string): HTMLElement {
  return h('span', { class: `badge ${tone}`.trim(), title }, word)
}

// brief shortens an id for a table: its beginning is enough to tell rows apart.
export function brief(id: string): string {
  return id.length > 13 ? `${id.slice(0, 8)}…` : id
}

// copyable shows a text and a button that copies all of it. "What" names it for the button.
export function copyable(value: string, what: string, shown: Node | string = value): HTMLElement {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value)
      say(`The ${what} is copied.`)
    } catch { say(`This browser lets nothing be copied; the ${what} is ${value}`) }
  }
  return h('span', { class: 'copyable' },
    h('code', { title: value }, shown),
    h('button', { type: 'button', class: 'copy', onclick: copy, 'aria-label': `Copy the ${what}` }, 'Copy'))
}

// command is a line to paste into a shell.
export function command(line: string, what = 'command'): HTMLElement {
  const copy = async () => {
    try { await navigator.clipboard.writeText(line); say(`The ${what} is copied.`) } catch { /* it can be selected */ }
  }
  return h('div', { class: 'command' },
    h('pre', { tabindex: '0', 'aria-label': `The ${what}` }, h('code', {}, line)),
    h('button', { type: 'button', class: 'copy', onclick: copy, 'aria-label': `Copy the ${what}` }, 'Copy'))
}
