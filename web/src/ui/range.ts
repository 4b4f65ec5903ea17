// The choice of a range and a zone: presets, or two days.

import { h } from '../dom'
import { date, days } from '../time'
import { ends, presets, seconds, type Preset, type Range } from '../question'
import { dayOf, zones, zoneValid } from '../zone'
import { combobox } from './combobox'

export interface RangeChoice { range: Range; zone: string }

const names: Record<Preset, string> = { '24h': '24 h', '7d': '7 d', '30d': '30 d', '90d': '90 d' }
const spoken: Record<Preset, string> = {
  '24h': 'the last 24 hours', '7d': 'the last 7 days', '30d': 'the last 30 days', '90d': 'the last 90 days',
}

export interface RangePicker {
  element: HTMLElement
  fault(field: string, message: string): void // the server's word about from, to or tz; "" takes it back
}

// rangePicker calls chosen with what was chosen, when it can be asked.
export function rangePicker(initial: RangeChoice, chosen: (c: RangeChoice) => void): RangePicker {
  let now: RangeChoice = initial
  const problem = h('p', { class: 'field-error', role: 'alert', id: 'range-problem' })
  const tell = (c: RangeChoice) => {
    problem.textContent = faultOf(c)
    buttons()
    if (problem.textContent !== '') return
    now = c
    chosen(c)
  }
  const custom = customFields(() => now, tell)
  const group = h('div', { class: 'segments', role: 'group', 'aria-label': 'Range' })
  const buttons = () => {
    const own = now.range.preset === '' || !custom.element.hidden
    for (const b of group.children) {
      b.setAttribute('aria-pressed', String(own ? b.id === 'range-custom' : b.id === `range-${now.range.preset}`))
    }
  }
  const preset = (p: Preset) => {
    custom.element.hidden = true
    tell({ ...now, range: { preset: p, from: '', to: '' } })
    buttons()
  }
  group.append(...presets.map((p) => h('button', {
    type: 'button', id: `range-${p}`, 'aria-label': `${names[p]}: ${spoken[p]}`, onclick: () => preset(p),
  }, names[p])), h('button', {
    type: 'button', id: 'range-custom', onclick: () => { custom.show(now); buttons() },
  }, 'Custom'))
  if (now.range.preset === '') custom.show(now)
  buttons()
  const zone = combobox({
    id: 'zone', label: 'Time zone', value: now.zone, options: () => zones().map((z) => ({ value: z, label: z })),
    chosen: (z) => tell({ ...now, zone: z }), free: true,
  })
  zone.input.setAttribute('aria-describedby', 'range-problem')
  return {
    element: h('div', { class: 'fields range' }, group, custom.element, zone.element, problem),
    fault(field, message) { problem.textContent = message === '' ? '' : `${field}: ${message}` },
  }
}

interface Custom { element: HTMLElement; show(c: RangeChoice): void }

function customFields(now: () => RangeChoice, tell: (c: RangeChoice) => void): Custom {
  const input = (id: string) => h('input', {
    id, type: 'date', max: '2199-12-31', min: '1970-01-01', 'aria-describedby': 'range-problem',
    onchange: () => changed(),
  })
  const from = input('range-from')
  const to = input('range-to')
  const changed = () => {
    const end = to.value === '' ? '' : days(to.value, 1)
    tell({ zone: now().zone, range: { preset: '', from: from.value, to: end } })
  }
  const element = h('div', { class: 'fields', hidden: true },
    h('div', { class: 'field' }, h('label', { for: 'range-from' }, 'From'), from),
    h('div', { class: 'field' }, h('label', { for: 'range-to' }, 'To, inclusive'), to))
  return {
    element,
    show(c) {
      const { from: first, to: last } = ends(c.range, c.zone, new Date())
      const start = seconds(first, c.zone)
      const end = seconds(last, c.zone)
      from.value = Number.isNaN(start) ? date(new Date(), c.zone) : dayOf(start, c.zone)
      to.value = Number.isNaN(end) ? date(new Date(), c.zone) : dayOf(end - 1, c.zone)
      element.hidden = false
    },
  }
}

// faultOf is what is wrong with a choice, in words; "" when it can be asked.
export function faultOf(c: RangeChoice): string {
  if (!zoneValid(c.zone)) return `There is no time zone ${c.zone}; one is called Europe/Rome.`
  if (c.range.preset !== '') return ''
  const from = seconds(c.range.from, c.zone)
  const to = seconds(c.range.to, c.zone)
  if (Number.isNaN(from)) return 'From: choose a day.'
  if (Number.isNaN(to)) return 'To: choose a day.'
  if (to <= from) return 'The range ends before it begins.'
  return to - from > 3660 * 86_400 ? 'The range has more than 3660 days.' : ''
}
