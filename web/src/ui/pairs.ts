import { h, type Child } from '../dom'

// pairs is a list of names and values; what has no value is left out.
export function pairs(rows: [string, Child | Child[]][]): HTMLElement {
  return h('dl', { class: 'pairs' }, rows
    .filter(([, value]) => value !== null && value !== undefined && value !== false && value !== '')
    .map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))))
}

// tiles are the few figures a page is opened for.
export function tiles(rows: [string, Child | Child[]][]): HTMLElement {
  return h('dl', { class: 'tiles' }, rows.map(([name, value]) =>
    h('div', { class: 'tile' }, h('dt', {}, name), h('dd', {}, value))))
}
