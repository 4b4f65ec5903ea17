import { get, onSignedOut, Failed, useToken, type Session } from './api'
import { render } from './dom'
import { admin } from './pages/admin'
import { agents } from './pages/agents'
import { billing } from './pages/billing'
import { events } from './pages/events'
import { explore } from './pages/explore'
import { overview } from './pages/overview'
import { signIn } from './pages/signin'
import { system } from './pages/system'
import type { Page } from './page'
import { current } from './router'
import { entriesOf, shell, type Shell } from './shell'
import { applyTheme, theme } from './theme'
import { empty, failed } from './ui/state'

const pages: Record<string, Page> = { overview, agents, explore, events, billing, system, admin }

const app = document.querySelector<HTMLElement>('#app')!
let session: Session | undefined
let frame: Shell | undefined
let opened: AbortController | undefined

async function start(): Promise<void> {
  applyTheme(theme())
  onSignedOut(leave)
  window.addEventListener('hashchange', open)
  try {
    enter(await get<Session>('/console/session'))
  } catch (error) {
    if (error instanceof Failed && error.status === 401) leave()
    else render(app, failed(error, () => location.reload()))
  }
}

function enter(s: Session): void {
  session = s
  useToken(s.csrf)
  frame = shell(s, leave)
  render(app, frame.element)
  open()
}

// leave shows the sign-in; the hash stays, so that signing in opens what was asked for.
function leave(): void {
  opened?.abort()
  session = undefined
  frame = undefined
  document.title = 'Sign in · Meterhouse'
  render(app, signIn(enter))
  app.querySelector<HTMLElement>('input')?.focus()
}

function open(): void {
  if (!session || !frame) return
  opened?.abort()
  opened = new AbortController()
  const route = current()
  const name = route.path[0] ?? 'overview'
  const page = entriesOf(session.role).some((e) => e.name === name) ? pages[name] : undefined
  const { main } = frame
  render(main)
  if (!page) {
    frame.open('', 'Not found')
    render(main, empty('There is no such page, or it is not yours to see.'))
    return
  }
  frame.open(name, page.title)
  const context = { into: main, session, route, signal: opened.signal }
  Promise.resolve().then(() => page.open(context)).catch((error: unknown) => {
    if (!context.signal.aborted) render(main, failed(error, open))
  })
  main.focus({ preventScroll: true })
  window.scrollTo(0, 0)
}

void start()
