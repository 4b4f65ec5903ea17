// A card whose content comes from the server again and again. It is drawn when it is another one
// than before, keeps the focus, and shows a failure only where there is nothing older to show.

import { h, render, type Child } from '../dom'
import { failed, loading } from './state'

export interface LiveCard {
  element: HTMLElement
  body: HTMLElement
  // refresh asks and draws; a draw that returns nothing has drawn by itself.
  refresh<T>(ask: () => Promise<T>, draw: (answer: T) => Child[] | undefined): Promise<void>
  forget(): void // what is shown answers another question
}

let cards = 0

export function liveCard(title: string, signal: AbortSignal, kind = '', aside: Child = null): LiveCard {
  const id = `card-${++cards}`
  const body = h('div', { class: `card-body ${kind}`.trim() })
  const element = h('section', { class: 'card', 'aria-labelledby': id },
    h('div', { class: 'card-head' }, h('h2', { id }, title), aside), body)
  let shown: string | undefined
  let asked = 0
  const refresh: LiveCard['refresh'] = async (ask, draw) => {
    const turn = ++asked
    if (body.childElementCount === 0) render(body, loading(kind === 'chart-body' ? 8 : 4))
    try {
      const answer = await ask()
      if (signal.aborted || turn !== asked) return
      const text = JSON.stringify(answer)
      body.classList.remove('stale')
      if (text === shown) return
      const drawn = draw(answer)
      if (drawn) replaceKeeping(body, drawn)
      shown = text
    } catch (error) {
      if (signal.aborted || turn !== asked) return
      body.classList.toggle('stale', shown !== undefined)
      if (shown === undefined) render(body, failed(error, () => { void refresh(ask, draw) }))
    }
  }
  return { element, body, refresh, forget() { shown = undefined; body.classList.add('stale') } }
}

// replaceKeeping puts the focus on the link that had it.
function replaceKeeping(body: HTMLElement, drawn: Child[]): void {
  const focused = body.contains(document.activeElement) ? document.activeElement : null
  const href = focused?.getAttribute('href')
  render(body, ...drawn)
  if (!focused) return
  const again = [...body.querySelectorAll<HTMLElement>('a, .table-scroll')]
    .find((e) => href ? e.getAttribute('href') === href : e.className === focused.className)
  again?.focus({ preventScroll: true })
}
