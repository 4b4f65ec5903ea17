import { h, render } from '../dom'
import type { Page } from '../page'

export const agents: Page = {
  title: 'Agents',
  open({ into }) {
    render(into, h('h1', {}, 'Agents'))
  },
}
