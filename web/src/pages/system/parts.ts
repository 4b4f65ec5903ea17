import { h, render, type Child } from '../../dom'

export function card(title: string, ...content: Child[]): HTMLElement {
  return h('section', { class: 'card', 'aria-label': title }, h('h2', {}, title), ...content)
}

export interface Facts {
  element: HTMLElement
  set(name: string, text: string, title?: string): void
  show(name: string, content: Child, key: string): void // drawn anew when the key is another
}

// facts is a list of names whose values are filled in, and changed one by one.
export function facts(kind: 'tiles' | 'pairs', names: string[]): Facts {
  const values = new Map(names.map((name) => [name, h('dd', {}, '–')]))
  const keys = new Map<string, string>()
  return {
    element: h('dl', { class: kind }, names.map((name) =>
      h('div', { class: kind === 'tiles' ? 'tile' : undefined, 'data-fact': name }, h('dt', {}, name), values.get(name)!))),
    set(name, text, title) {
      const value = values.get(name)!
      if (value.textContent !== text) value.textContent = text
      if (title !== undefined && value.title !== title) value.title = title
    },
    show(name, content, key) {
      if (keys.get(name) === key) return
      keys.set(name, key)
      render(values.get(name)!, content)
    },
  }
}

// changing draws into an element when what it is made from is another than before.
export function changing(element: HTMLElement): (from: unknown, draw: () => Child[]) => void {
  let before = ''
  return (from, draw) => {
    const now = JSON.stringify(from)
    if (now === before) return
    before = now
    render(element, ...draw())
  }
}
