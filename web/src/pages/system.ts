import { h, render } from '../dom'
import type { Page } from '../page'

export const system: Page = {
  title: 'System',
  open({ into }) {
    render(into, h('h1', {}, 'System'))
  },
}
