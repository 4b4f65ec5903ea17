// What stands where data will be, is not, or could not be had.

import { Failed } from '../api'
import { h, type Child } from '../dom'

// loading is a quiet placeholder of some lines; it appears only when waiting is noticeable.
export function loading(lines = 3): HTMLElement {
  return h('div', { class: 'state loading', role: 'status' },
    h('span', { class: 'visually-hidden' }, 'Loading…'),
    Array.from({ length: lines }, () => h('div', { class: 'skeleton', 'aria-hidden': 'true' })))
}

// empty says that there is nothing, and what to do about it.
export function empty(title: string, ...what: Child[]): HTMLElement {
  return h('div', { class: 'state empty' }, h('p', { class: 'state-title' }, title), ...what)
}

// failed says what went wrong in words, and lets it be tried again.
export function failed(error: unknown, again?: () => void): HTMLElement {
  const e = error instanceof Failed ? error : new Failed(-1, 'The console failed to show this.')
  if (!(error instanceof Failed)) console.error(error)
  return h('div', { class: 'state failed', role: 'alert' },
    h('p', { class: 'state-title' }, titleOf(e)),
    h('p', {}, e.message),
    e.faults.length > 1 && h('ul', {}, e.faults.map((f) => h('li', {}, faultText(f.field, f.message)))),
    e.requestID !== '' && h('p', { class: 'muted' }, 'Request ', h('code', {}, e.requestID)),
    again && h('button', { type: 'button', onclick: again }, 'Try again'))
}

function faultText(field: string | undefined, message: string): string {
  return field ? `${field}: ${message}` : message
}

function titleOf(e: Failed): string {
  switch (e.status) {
    case 0: return 'No connection'
    case 403: return 'Not for you to see'
    case 404: return 'Not found'
    case 429: return 'Too much at once'
    case 503: return 'Not available now'
  }
  return e.status >= 500 || e.status < 0 ? 'Something went wrong' : 'This could not be answered'
}

// load shows the loading state, then what `ask` makes, or its failure with a way to try again.
// What an aborted signal cut off is shown to nobody.
export async function load(
  into: Element, signal: AbortSignal, ask: () => Promise<Child | Child[]>, lines = 3,
): Promise<void> {
  into.replaceChildren(loading(lines))
  into.setAttribute('aria-busy', 'true')
  try {
    const shown = await ask()
    if (signal.aborted) return
    into.replaceChildren()
    for (const child of Array.isArray(shown) ? shown : [shown]) {
      if (child !== null && child !== undefined && child !== false) into.append(child instanceof Node ? child : String(child))
    }
  } catch (error) {
    if (signal.aborted || (error instanceof DOMException && error.name === 'AbortError')) return
    into.replaceChildren(failed(error, () => { void load(into, signal, ask, lines) }))
  } finally {
    into.removeAttribute('aria-busy')
  }
}
