import { h, render } from '../dom'
import type { Page } from '../page'

export const overview: Page = {
  title: 'Overview',
  open({ into }) {
    render(into, h('h1', {}, 'Overview'))
  },
}
