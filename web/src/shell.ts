// The frame around every page: navigation, who is signed in, whether the server is reached.

import { onReach, request, type Session } from './api'
import { h } from './dom'
import { applyTheme, theme, type Theme } from './theme'

export interface Shell { element: HTMLElement; main: HTMLElement; open(name: string, title: string): void }

interface Entry { name: string; label: string; key: string; roles?: Session['role'][] }

// What each role can do nothing with is not offered to it; the server refuses it anyway.
const entries: Entry[] = [
  { name: 'overview', label: 'Overview', key: 'o' },
  { name: 'agents', label: 'Agents', key: 'a' },
  { name: 'explore', label: 'Explore', key: 'x' },
  { name: 'events', label: 'Events', key: 'e' },
  { name: 'billing', label: 'Billing', key: 'b', roles: ['superadmin', 'admin'] },
  { name: 'system', label: 'System', key: 's', roles: ['superadmin'] },
  { name: 'admin', label: 'Admin', key: 'd', roles: ['superadmin', 'admin', 'member'] },
]

// entriesOf returns the pages that a role has.
export function entriesOf(role: Session['role']): Entry[] {
  return entries.filter((e) => !e.roles || e.roles.includes(role))
}

export function shell(session: Session, left: () => void): Shell {
  const main = h('main', { id: 'main', tabindex: '-1' })
  const links = new Map<string, HTMLAnchorElement>()
  for (const e of entriesOf(session.role)) {
    links.set(e.name, h('a', { href: `#/${e.name}`, title: `Keyboard: g then ${e.key}` }, e.label))
  }
  const menu = h('nav', { 'aria-label': 'Pages', id: 'menu' },
    h('ul', {}, [...links.values()].map((a) => h('li', {}, a))))
  const banner = h('p', { class: 'banner', role: 'alert', hidden: true })
  onReach((reached) => {
    if (banner.hidden !== reached) {
      banner.hidden = reached
      banner.textContent = reached ? '' : 'The server cannot be reached. What you see is from before; it is being tried again.'
    }
  })
  const element = h('div', { class: 'shell' },
    h('a', { class: 'skip', href: '#main', onclick: (e: Event) => { e.preventDefault(); main.focus() } },
      'Skip to content'),
    h('header', {},
      h('a', { class: 'brand', href: '#/overview' },
        h('img', { src: '/favicon.svg', alt: '', width: '24', height: '24' }), 'Meterhouse'),
      menu, account(session, left)),
    banner, main)
  keys(session.role)
  return {
    element,
    main,
    open(name, title) {
      document.title = `${title} · Meterhouse`
      for (const [each, link] of links) {
        if (each === name) link.setAttribute('aria-current', 'page')
        else link.removeAttribute('aria-current')
      }
    },
  }
}

function account(session: Session, left: () => void): HTMLElement {
  const who = session.agent?.name ?? session.user?.name ?? 'unknown'
  const choice = h('select', { 'aria-label': 'Theme', title: 'Theme: auto is the system’s', onchange: () => applyTheme(choice.value as Theme) },
    (['auto', 'light', 'dark'] as Theme[]).map((t) =>
      h('option', { value: t, selected: t === theme() }, `◐ ${t === 'auto' ? 'Auto' : t === 'light' ? 'Light' : 'Dark'}`)))
  const leave = async () => {
    try { await request('/console/session', { method: 'DELETE' }) } finally { left() }
  }
  return h('div', { class: 'account' },
    h('span', { class: 'who' }, h('strong', {}, session.organization.name), ` · ${who} (${session.role})`),
    choice,
    h('button', { type: 'button', onclick: leave }, 'Sign out'))
}

let unbind: AbortController | undefined

// keys opens pages by "g" and a letter, and the search of a page by "/".
function keys(role: Session['role']): void {
  unbind?.abort()
  unbind = new AbortController()
  let since = 0
  document.addEventListener('keydown', (e) => {
    const typing = e.target instanceof HTMLElement && e.target.closest('input, select, textarea, dialog')
    if (typing || e.ctrlKey || e.metaKey || e.altKey) return
    if (e.key === '/') {
      const search = document.querySelector<HTMLElement>('main [data-search]')
      if (search) { e.preventDefault(); search.focus() }
      return
    }
    if (e.key === 'g') { since = Date.now(); return }
    const entry = Date.now() - since < 1500 && entriesOf(role).find((each) => each.key === e.key)
    since = 0
    if (entry) location.hash = `#/${entry.name}`
  }, { signal: unbind.signal })
}
