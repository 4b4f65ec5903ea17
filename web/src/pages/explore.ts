import { Failed, type UsageAnswer } from '../api'
import { h, render } from '../dom'
import { names, type Names } from '../names'
import { organizationOf, organizationPicker } from '../organization'
import { every, type Context, type Page } from '../page'
import { read, write, type Question } from '../question'
import { push, replace } from '../router'
import { browserZone } from '../time'
import { chart, type Chart } from '../ui/chart'
import { liveCard } from '../ui/live'
import { empty } from '../ui/state'
import { actions } from './explore/actions'
import { answerOf, pictureOf } from './explore/answer'
import { builder } from './explore/builder'
import { rowsTable } from './explore/rows'

const seconds = 10
const liveRowsMax = 5000 // an answer of more is not asked for again and again

// Explore: any question of /v1/usage/query, as a form, a chart, a table and a URL.
export const explore: Page = {
  title: 'Explore',
  open(context) {
    const { session, route, signal } = context
    let q: Question = {
      ...read(route.parameters, browserZone), organization: organizationOf(session, route.parameters),
    }
    replace(['explore'], write(q)) // all of it, the zone too: opened elsewhere it shows the same
    const tools = actions()
    const results = resultCards(context, (to) => change(to))
    const form = builder(session, signal, q, (to) => change(to))
    const ask = () => results.refresh(q).then((fault) => { if (fault) form.range.fault(fault.field, fault.message) })
    const change = (to: Partial<Question>) => {
      q = { ...q, ...to }
      push(['explore'], write(q))
      form.update(q)
      tools.update(q)
      results.forget()
      void ask()
    }
    tools.update(q)
    render(context.into,
      h('div', { class: 'page-head' }, h('h1', {}, 'Explore'),
        organizationPicker(session, q.organization, (organization) => change({ organization }))),
      form.element, ...results.elements(tools.element))
    every(seconds, signal, async () => { if (results.rows() <= liveRowsMax) await ask() })
  },
}

interface Fault { field: string; message: string }

interface Results {
  elements(tools: HTMLElement): HTMLElement[]
  refresh(q: Question): Promise<Fault | undefined>
  forget(): void
  rows(): number
}

// resultCards are the chart and the table, of one answer.
function resultCards({ session, signal }: Context, change: (to: Partial<Question>) => void): Results {
  const place = h('div')
  const card = liveCard('Answer', signal, 'results', place)
  const table = rowsTable()
  const drawing = h('div')
  const notes = h('p', { class: 'hint', role: 'status' })
  let drawn: Chart | undefined
  let count = 0
  let asking = new AbortController()
  signal.addEventListener('abort', () => { asking.abort(); drawn?.destroy() })
  const draw = (answer: UsageAnswer, q: Question, known: Names) => {
    count = answer.rows.length
    if (count === 0) return nothingThere(q, change)
    const picture = pictureOf(answer, q, known)
    notes.textContent = picture.notes.join(' ')
    if (!picture.chart || answer.granularity === 'total') {
      drawn?.destroy()
      drawn = undefined
      render(drawing, picture.mixed && mixedTypes(q, change))
    } else if (drawn) drawn.update(picture.chart)
    else {
      drawn = chart(picture.chart)
      render(drawing, drawn.element)
    }
    table.update(answer, q, known)
    if (table.element.parentElement !== card.body) render(card.body, drawing, notes, table.element)
    return undefined
  }
  return {
    elements(tools) { place.replaceWith(tools); return [card.element] },
    rows: () => count,
    forget() { asking.abort(); asking = new AbortController(); card.forget() },
    async refresh(q) {
      let fault: Fault | undefined
      const own = AbortSignal.any([signal, asking.signal])
      await card.refresh(async () => {
        try {
          const [answer, known] = await Promise.all([answerOf(q, own), names(session, q.organization)])
          return { answer, known, measure: q.measure, chart: q.chart, agents: known.list('agent') }
        } catch (error) {
          if (error instanceof Failed && error.status === 400) fault = rangeFault(error)
          throw error
        }
      }, ({ answer, known }) => draw(answer, q, known))
      return fault
    },
  }
}

// rangeFault is the server's word about the fields of the range, to be shown there.
function rangeFault(error: Failed): Fault | undefined {
  const found = error.faults.find((f) => f.field === 'from' || f.field === 'to' || f.field === 'tz')
  return found ? { field: found.field!, message: found.message } : undefined
}

function nothingThere(q: Question, change: (to: Partial<Question>) => void): HTMLElement[] {
  const filtered = q.filters.size > 0
  return [empty(filtered ? 'Nothing in this range passes the filters.' : 'No usage in this range.',
    filtered
      ? h('button', { type: 'button', onclick: () => { location.hash = unfiltered(q) } }, 'Remove the filters')
      : h('button', { type: 'button', onclick: () => change({ range: { preset: '90d', from: '', to: '' } }) }, 'Look at 90 days'))]
}

const unfiltered = (q: Question) => `#/explore?${write({ ...q, filters: new Map() }).toString()}`

function mixedTypes(q: Question, change: (to: Partial<Question>) => void): HTMLElement {
  return h('div', { class: 'notice' }, 'Quantities of different usage types are not added up: tokens are no seconds.',
    h('button', {
      type: 'button', onclick: () => change({ groupBy: [...q.groupBy, 'usage_type'] }),
    }, 'Group by usage type'))
}
