import { Failed, get } from '../api'
import { h, render } from '../dom'
import { every, type Page } from '../page'
import { instant } from '../time'
import { badge } from '../ui/figures'
import { failed, loading } from '../ui/state'
import { add, type Sample } from './system/samples'
import { board } from './system/board'
import { findings, levelOf, sentence, type Finding, type Level, type Status } from './system/status'

const seconds = 2

// Of each node what it has counted lately: kept while the console is open, whatever page is shown.
const seen = new Map<string, Sample[]>()

const words: Record<Level, [string, 'good' | 'warn' | 'bad']> = {
  ok: ['ok', 'good'], look: ['look', 'warn'], bad: ['act', 'bad'],
}

export const system: Page = {
  title: 'System',
  open({ into, session, signal }) {
    const mark = h('span', {})
    const said = h('strong', {})
    const age = h('p', { class: 'muted', role: 'status' })
    const todo = h('ul', { class: 'findings' })
    const head = h('section', { class: 'card system-head', 'aria-label': 'How it is', hidden: true },
      h('p', { role: 'status', class: 'system-said' }, mark, ' ', said), todo, age)
    const body = h('div', { class: 'stack' }, loading(8))
    render(into, h('div', { class: 'page-head' }, h('h1', {}, 'System')), head, body)
    let shown: ReturnType<typeof board> | undefined
    let last: Status | undefined
    let before = ''
    const tell = (s: Status) => {
      const found = findings(s)
      const level = levelOf(found)
      head.hidden = false
      set(said, sentence(s, found))
      const now = JSON.stringify([level, found])
      if (now !== before) {
        before = now
        render(mark, badge(...words[level]))
        head.dataset['level'] = level
        render(todo, found.map((f) => line(f, found.length === 1)))
      }
      set(age, '')
      body.classList.remove('stale')
    }
    const lost = (error: unknown) => {
      if (signal.aborted) return
      if (!last) { render(body, failed(error, () => { void look().catch(() => undefined) })); return }
      body.classList.add('stale')
      const reason = error instanceof Failed && error.status > 0 ? `not answered since: ${error.message}` : 'not reached since'
      set(age, `From ${instant(last.time, undefined, true).slice(11)}; ${reason}.`)
    }
    const look = async () => {
      try {
        const s = await get<Status>('/v1/system', signal)
        if (signal.aborted) return
        last = s
        const samples = add(seen.get(s.node) ?? [], { at: Date.parse(s.time) / 1000, totals: s.ingest })
        seen.set(s.node, samples)
        tell(s)
        if (!shown) {
          shown = board(session)
          render(body, shown.element)
          signal.addEventListener('abort', shown.destroy)
        }
        shown.update(s, samples)
      } catch (error) {
        lost(error)
        throw error
      }
    }
    every(seconds, signal, look)
  },
}

// line is a finding with what to do; the only one is said above already.
function line(f: Finding, only: boolean): HTMLElement {
  return only ? h('li', {}, f.todo)
    : h('li', {}, badge(...words[f.level]), ' ', h('strong', {}, f.what), ` ${f.todo}`)
}

// set changes a text only when it is another: a live region is read out at each change.
function set(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text
}
