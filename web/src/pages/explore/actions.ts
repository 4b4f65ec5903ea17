// What can be done with a question: take its answer along, or the question itself.

import { query } from '../../api'
import { h, render } from '../../dom'
import { curl, fixed, hashOf, parameters, type Question } from '../../question'
import { say } from '../../ui/toast'

const formats: [string, string][] = [['csv', 'CSV'], ['parquet', 'Parquet'], ['arrow', 'Arrow'], ['ndjson', 'NDJSON']]

// downloadOf is the address of the answer as a file. The links are the browser's own downloads: an
// answer of any size goes to the disk without passing through the page.
export function downloadOf(q: Question, format: string, now: Date): string {
  return `/v1/usage/query${query({ ...parameters(q, now), format })}`
}

export interface Actions { element: HTMLElement; update(q: Question): void }

export function actions(): Actions {
  const element = h('div', { class: 'toolbar' })
  let question: Question
  const copy = (label: string, what: string, make: () => string) =>
    h('button', { type: 'button', onclick: () => { void copied(make(), what) } }, label)
  const links = formats.map(([format, name]) => h('a', { class: 'button', download: `usage.${format}` }, name))
  render(element, h('span', { class: 'muted' }, 'Download'), links,
    copy('Copy link', 'link', () => location.origin + location.pathname + hashOf(fixed(question, new Date()))),
    copy('Copy as curl', 'command', () => curl(question, location.origin, new Date())))
  return {
    element,
    update(q) {
      question = q
      for (const [i, [format]] of formats.entries()) links[i]!.setAttribute('href', downloadOf(q, format, new Date()))
    },
  }
}

async function copied(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text)
    say(`The ${what} is copied.`)
  } catch { say(`This browser lets nothing be copied: ${text}`) }
}
