import { h, render } from '../dom'
import type { Page } from '../page'

export const admin: Page = {
  title: 'Admin',
  open({ into }) {
    render(into, h('h1', {}, 'Admin'))
  },
}
