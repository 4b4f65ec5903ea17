import { h, render } from '../dom'
import type { Page } from '../page'

export const billing: Page = {
  title: 'Billing',
  open({ into }) {
    render(into, h('h1', {}, 'Billing'))
  },
}
