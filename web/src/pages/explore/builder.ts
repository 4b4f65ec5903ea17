// The form that makes a question. What it changes is asked at once.

import type { Session } from '../../api'
import { h } from '../../dom'
import { granularities, granularityOf, measures, orders, type Question } from '../../question'
import { rangePicker, type RangePicker } from '../../ui/range'
import { filtersForm } from './filters'
import { groupsForm } from './groups'
import { granularityNames, measureNames, orderNames } from './words'

const tops = [0, 5, 10, 20, 50, 100]

export interface Builder { element: HTMLElement; range: RangePicker; update(q: Question): void }

export function builder(
  session: Session, signal: AbortSignal, initial: Question, change: (to: Partial<Question>) => void,
): Builder {
  const range = rangePicker({ range: initial.range, zone: initial.zone }, change)
  const groups = groupsForm((groupBy) => change({ groupBy }))
  const filters = filtersForm(session, signal, (f) => change({ filters: f }))
  const measure = choice('measure', 'Measure', measures.map((m) => [m, measureNames[m]]),
    (v) => change({ measure: v as Question['measure'] }))
  const granularity = choice('granularity', 'Granularity',
    [['', 'Automatic'], ...granularities.map((g): [string, string] => [g, granularityNames[g]])],
    (v) => change({ granularity: v as Question['granularity'] }))
  const shape = choice('shape', 'Chart', [['bars', 'Stacked bars'], ['lines', 'Lines']],
    (v) => change({ chart: v as Question['chart'] }))
  const top = choice('top', 'Only the top', [], (v) => change({ top: Number(v) }))
  const order = choice('order', 'Top by', orders.map((o) => [o, orderNames[o]]),
    (v) => change({ order: v as Question['order'] }))
  const update = (q: Question) => {
    set(measure.select, q.measure)
    set(shape.select, q.chart)
    set(order.select, q.order)
    set(granularity.select, q.granularity)
    const fitting = granularityOf({ ...q, granularity: '' }, new Date())
    granularity.select.options[0]!.textContent = `Automatic: ${granularityNames[fitting]}`
    options(top.select, [...new Set([...tops, q.top])].sort((a, b) => a - b)
      .map((n) => [String(n), n === 0 ? 'All' : `${n} of them`]))
    set(top.select, String(q.top))
    top.element.hidden = q.groupBy.length === 0
    order.element.hidden = q.groupBy.length === 0 || q.top === 0
    groups.update(q.groupBy)
    void filters.update(q)
  }
  update(initial)
  const element = h('section', { class: 'card question', 'aria-label': 'Question' },
    range.element, groups.element, filters.element,
    h('div', { class: 'fields' }, measure.element, granularity.element, shape.element, top.element, order.element))
  return { element, range, update }
}

interface Choice { element: HTMLElement; select: HTMLSelectElement }

function choice(id: string, label: string, all: [string, string][], chosen: (v: string) => void): Choice {
  const select = h('select', { id: `explore-${id}`, onchange: () => chosen(select.value) })
  options(select, all)
  return { element: h('div', { class: 'field' }, h('label', { for: `explore-${id}` }, label), select), select }
}

function options(select: HTMLSelectElement, all: [string, string][]): void {
  const before = [...select.options].map((o) => o.value).join()
  if (before === all.map(([v]) => v).join() && before !== '') return
  select.replaceChildren(...all.map(([value, name]) => h('option', { value }, name)))
}

function set(select: HTMLSelectElement, value: string): void {
  if (select.value !== value) select.value = value
}
