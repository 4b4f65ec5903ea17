import { h, render } from '../dom'
import type { Page } from '../page'

export const events: Page = {
  title: 'Events',
  open({ into }) {
    render(into, h('h1', {}, 'Events'))
  },
}
