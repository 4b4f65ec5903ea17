import { h, render } from '../dom'
import type { Page } from '../page'

export const explore: Page = {
  title: 'Explore',
  open({ into }) {
    render(into, h('h1', {}, 'Explore'))
  },
}
