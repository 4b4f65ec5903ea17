// The names of a chart's series; each switches its series off and on.

import { h } from '../dom'
import { swatch, type Shown } from './chart'

export interface Legend { element: HTMLElement; update(): void }

export function legendOf(shown: Shown, changed: () => void): Legend {
  const element = h('ul', { class: 'legend' })
  let names = ''
  const toggle = (label: string, button: HTMLElement) => {
    const off = !shown.hidden.delete(label)
    if (off) shown.hidden.add(label)
    button.setAttribute('aria-pressed', String(!off))
    changed()
  }
  const update = () => {
    const { series } = shown.options
    const next = JSON.stringify(series.map((s) => [s.label, s.colour]))
    if (next === names) return // the focus stays where it is
    names = next
    element.replaceChildren(...series.map((s, i) => {
      const button: HTMLButtonElement = h('button', {
        type: 'button', 'aria-pressed': String(!shown.hidden.has(s.label)), title: 'Show or hide this series',
        onclick: () => toggle(s.label, button),
      }, swatch(s, i), s.label)
      return h('li', {}, button)
    }))
  }
  update()
  return { element, update }
}
