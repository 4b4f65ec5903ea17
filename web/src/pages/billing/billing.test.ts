import { expect, test } from 'vitest'
import { decimal } from '../../decimal'
import { filterOf, fitting, parametersOf } from './filter'
import { countsOf, difference, slotHash, sumsOf, type Slot } from './slots'

const slot = (hour: string, rest: Partial<Slot> = {}): Slot => ({
  organization_id: '0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55', meter: 'usage_micro_usd', window_start: hour,
    state: 'acked',
  unit: 'micro_usd', billable_units: '1170000', reported_units: '1170000', carried_in_units: '0',
    carried_out_units: '0',
  revision: 1, unpriced: 0, closed: false, detail: '', ...rest,
})

const late = slot('2026-11-22T13:00:00Z', { state: 'pending', billable_units: '9007199254740993',
  reported_units: '-1' })
const none = slot('2026-11-22T12:00:00Z', { state: 'unmapped', meter: '', reported_units: '0' })
const slots = [slot('2026-11-22T11:00:00Z'), none, late]

test('the difference is exact, beyond what floats hold', () => {
  expect(difference(late)).toBe(decimal('9007199254740994'))
})

test('sums are by meter, counts by state', () => {
  expect(sumsOf(slots).map((m) => [m.meter, m.slots, m.billable])).toEqual([
    ['', 1, decimal('1170000')], ['usage_micro_usd', 2, decimal('9007199255910993')]])
  expect(countsOf(slots).filter(([, n]) => n > 0)).toEqual([['pending', 1], ['acked', 1], ['unmapped', 1]])
})

test('usage without a meter has an address, too', () => {
  expect(slotHash(none)).toBe('#/billing/0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55/~/2026-11-22T12')
})

test('a filter is a URL, both ways, and the newest hour comes first', () => {
  const now = new Date('2026-11-22T10:00:00Z')
  const f = filterOf(new URLSearchParams('from=2026-11-01&to=2026-11-22&state=unmapped&meter='), now)
  expect(f).toEqual({ from: '2026-11-01', to: '2026-11-22', state: 'unmapped', meter: '' })
  expect(filterOf(parametersOf(f, ''), now)).toEqual(f)
  expect(fitting(slots, f)).toEqual([none])
  const all = filterOf(new URLSearchParams('from=nonsense&state=lost'), now)
  expect(all).toEqual({ from: '2026-11-21', to: '2026-11-22', state: '', meter: null })
  expect(fitting(slots, all).map((s) => s.window_start.slice(11, 13))).toEqual(['13', '12', '11'])
})
