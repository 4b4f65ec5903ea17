// What the answer is grouped by, in its order.

import { h, render } from '../../dom'
import { dimensions, type Dimension } from '../../question'
import { dimensionNames } from './words'

export interface GroupsForm { element: HTMLElement; update(groupBy: Dimension[]): void }

export function groupsForm(changed: (groupBy: Dimension[]) => void): GroupsForm {
  const place = h('div', { class: 'chips' })
  let groupBy: Dimension[] = []
  const set = (next: Dimension[], focus: string) => {
    update(next)
    place.querySelector<HTMLElement>(`#${focus}`)?.focus()
    changed(next)
  }
  const move = (i: number, by: number, focus: string) => {
    const next = [...groupBy]
    next.splice(i + by, 0, ...next.splice(i, 1))
    set(next, focus)
  }
  const chip = (d: Dimension, i: number) => {
    const name = dimensionNames[d]
    const button = (does: string, sign: string, id: string, onclick: () => void) =>
      h('button', { type: 'button', id, 'aria-label': does, title: does, onclick }, sign)
    return h('div', { class: 'chip', role: 'group', 'aria-label': `Group by ${name}` }, h('span', {}, name),
      i > 0 && button(`Move ${name} to the front`, '←', `group-${d}-left`,
        () => move(i, -1, i > 1 ? `group-${d}-left` : `group-${d}-off`)),
      button(`Do not group by ${name}`, '×', `group-${d}-off`, () => set(groupBy.filter((each) => each !== d), 'group-add')))
  }
  const update = (next: Dimension[]) => {
    groupBy = next
    const rest = dimensions.filter((d) => !groupBy.includes(d))
    const add = h('select', {
      id: 'group-add', 'aria-label': 'Group by another dimension',
      onchange: () => { set([...groupBy, add.value as Dimension], 'group-add') },
    }, h('option', { value: '', selected: true }, groupBy.length === 0 ? 'nothing: the sum' : 'and by…'),
    rest.map((d) => h('option', { value: d }, dimensionNames[d])))
    render(place, groupBy.map(chip), add)
  }
  return { element: h('fieldset', { id: 'groups' }, h('legend', {}, 'Group by'), place), update }
}
