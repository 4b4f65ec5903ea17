// Filters: per dimension the values that count. Values are proposed from what the range has.

import { usage } from '../../api'
import { decimal, short } from '../../decimal'
import { h, render } from '../../dom'
import { names, type Names } from '../../names'
import { dimensions, parameters, type Dimension, type Question } from '../../question'
import type { Session } from '../../api'
import { combobox, type Option } from '../../ui/combobox'
import { dimensionNames, valueName } from './words'

type Filters = Question['filters']

const proposedMax = 200
const valuesMax = 100

export interface FiltersForm { element: HTMLElement; update(q: Question): Promise<void> }

export function filtersForm(session: Session, signal: AbortSignal, changed: (f: Filters) => void): FiltersForm {
  const place = h('div', { class: 'question' })
  let q: Question
  let open = new Set<Dimension>() // shown though nothing is chosen yet
  let drawn = ''
  const set = (d: Dimension, values: string[], focus: string) => {
    const next: Filters = new Map(q.filters)
    if (values.length > 0) next.set(d, values.slice(0, valuesMax))
    else next.delete(d)
    if (focus === `filter-${d}`) open.add(d)
    changed(next)
    void update({ ...q, filters: next }).then(() => document.getElementById(focus)?.focus())
  }
  const row = (d: Dimension, known: Names) => {
    const values = q.filters.get(d) ?? []
    const without = (v: string) => values.filter((each) => each !== v)
    const add = combobox({
      id: `filter-${d}`, label: `${dimensionNames[d]} is`, placeholder: values.length > 0 ? 'or…' : 'type or choose',
      free: d !== 'chargeable', clears: true, options: () => proposals(q, d, known, signal),
      chosen: (v) => set(d, [...without(v), v], `filter-${d}`),
    })
    return h('div', { class: 'fields', role: 'group', 'aria-label': `Filter by ${dimensionNames[d]}` }, add.element,
      h('ul', { class: 'chips' }, values.map((v) => h('li', { class: 'chip' },
        h('span', { title: v }, valueName(d, v, known)),
        h('button', {
          type: 'button', 'aria-label': `Remove ${valueName(d, v, known)}`, title: 'Remove',
          onclick: () => set(d, without(v), values.length > 1 ? `filter-${d}` : 'filter-add'),
        }, '×')))))
  }
  const update = async (next: Question) => {
    q = next
    const known = await names(session, q.organization)
    const shown = dimensions.filter((d) => q.filters.has(d) || open.has(d))
    const key = JSON.stringify([shown, [...q.filters]])
    if (key === drawn) return
    drawn = key
    open = new Set(shown)
    const add = h('select', { id: 'filter-add', 'data-search': true, 'aria-label': 'Add a filter', onchange: () => {
      open.add(add.value as Dimension)
      void update(q).then(() => document.getElementById(`filter-${add.value}`)?.focus())
    } }, h('option', { value: '' }, shown.length === 0 ? 'none: everything counts' : 'and…'),
    dimensions.filter((d) => !shown.includes(d)).map((d) => h('option', { value: d }, dimensionNames[d])))
    render(place, shown.map((d) => row(d, known)), h('div', {}, add))
  }
  return { element: h('fieldset', { id: 'filters' }, h('legend', {}, 'Filters'), place), update }
}

// proposals are the values that the range has most events of, under the other filters.
async function proposals(q: Question, d: Dimension, known: Names, signal: AbortSignal): Promise<Option[]> {
  if (d === 'chargeable') return ['true', 'false'].map((v) => ({ value: v, label: valueName(d, v, known) }))
  const filters = new Map([...q.filters].filter(([each]) => each !== d))
  const asked = parameters({
    ...q, filters, groupBy: [d], granularity: 'total', top: proposedMax, order: 'events',
  }, new Date())
  const { rows } = await usage(asked, signal)
  return rows.filter((r) => !r.other).map((r) => {
    const value = String(r[d] ?? '')
    const count = r.events === null ? '' : `${short(decimal(String(r.events)))} events`
    return { value, label: valueName(d, value, known), detail: count }
  })
}
