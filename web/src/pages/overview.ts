import { h, render } from '../dom'
import { every, type Context, type Page } from '../page'
import { organizationPicker } from '../organization'
import { replace } from '../router'
import { command } from '../ui/figures'
import { rangePicker } from '../ui/range'
import { empty } from '../ui/state'
import { chartCards } from './overview/charts'
import { leaderCards } from './overview/leaders'
import { parametersOf, scopeOf } from './overview/scope'
import { today } from './overview/today'
import { warnings } from './overview/warnings'

const rateSeconds = 2
const pageSeconds = 10

// Overview: what today costs, what the range did, who did it.
export const overview: Page = {
  title: 'Overview',
  open(context) {
    let scope = scopeOf(context.session, context.route.parameters, context.signal)
    const current = () => scope
    const tiles = today(current)
    const warned = warnings(current)
    const charts = chartCards(current, context.signal, (rows) => { nothing.hidden = rows > 0 })
    const leaders = leaderCards(current, context.signal)
    const cards = [...charts, ...leaders]
    const nothing = h('div', { hidden: true }, firstEvent(context))
    const refresh = async () => {
      await Promise.allSettled([tiles.refresh(), ...cards.map((c) => c.refresh())])
      await warned.refresh() // what takes the longest comes last
    }
    const change = (to: Partial<typeof scope>) => {
      scope = { ...scope, ...to }
      replace(['overview'], parametersOf(scope))
      for (const { card } of cards) card.forget()
      void refresh()
    }
    render(context.into,
      h('div', { class: 'page-head' }, h('h1', {}, 'Overview'),
        organizationPicker(context.session, scope.organization, (organization) => change({ organization }))),
      rangePicker(scope, (choice) => change(choice)).element,
      warned.element, tiles.element, nothing,
      h('div', { class: 'grid overview-charts' }, charts.map(({ card }) => card.element)),
      h('div', { class: 'grid' }, leaders.map(({ card }) => card.element)))
    every(rateSeconds, context.signal, tiles.tick)
    every(pageSeconds, context.signal, refresh)
  },
}

function firstEvent({ session }: Context): HTMLElement {
  const body = '{"model":"gpt-4o-mini","usage":{"INPUT":1200,"OUTPUT":350}}'
  const secret = session.role === 'agent' ? 'Agent-Secret-Key: …' : 'Authorization: Bearer …'
  return empty('Nothing was recorded in this range.',
    h('p', {}, 'Choose a longer range, or record the first event; it is here within seconds:'),
    command(`curl ${location.origin}/v1/events -H '${secret}' -H 'Content-Type: application/json' -d '${body}'`))
}
