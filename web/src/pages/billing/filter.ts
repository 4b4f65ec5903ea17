// Which slots are shown, in the URL. Days are UTC's, as hours of slots are.

import { days } from '../../time'
import { states, type Slot, type State } from './slots'

export interface Filter { from: string; to: string; state: State | ''; meter: string | null }

const isDay = /^\d{4}-\d{2}-\d{2}$/

// filterOf reads a URL: the last two days unless it says otherwise, both ends among them.
export function filterOf(p: URLSearchParams, now: Date): Filter {
  const today = now.toISOString().slice(0, 10)
  const day = (name: string, otherwise: string) => {
    const value = p.get(name) ?? ''
    return isDay.test(value) ? value : otherwise
  }
  return {
    from: day('from', days(today, -1)),
    to: day('to', today),
    state: states.find((s) => s === p.get('state')) ?? '',
    meter: p.get('meter'),
  }
}

// parametersOf writes what filterOf reads.
export function parametersOf(f: Filter, organization: string): URLSearchParams {
  const p = new URLSearchParams({ from: f.from, to: f.to })
  if (f.state !== '') p.set('state', f.state)
  if (f.meter !== null) p.set('meter', f.meter)
  if (organization !== '') p.set('organization_id', organization)
  return p
}

// fitting are the slots that a filter leaves, the newest first.
export function fitting(slots: Slot[], f: Filter): Slot[] {
  return slots.filter((s) => (f.state === '' || s.state === f.state) && (f.meter === null || s.meter === f.meter))
    .sort((a, b) => a.window_start < b.window_start ? 1 : a.window_start > b.window_start ? -1
      : a.meter < b.meter ? -1 : 1)
}
