import { expect, test } from 'vitest'
import { differences } from './differences'
import { metersOf } from './organizations'
import { whole } from './things'

test('a difference has what changed alone', () => {
  expect(differences({ id: '1', name: 'a', active: true }, { id: '1', name: 'b', active: true }))
    .toEqual([{ name: 'name', before: 'a', after: 'b' }])
  expect(differences(null, { name: 'a', meters: [] }))
    .toEqual([{ name: 'name', before: '–', after: 'a' }, { name: 'meters', before: '–', after: '[]' }])
})

test('meters are read by the line', () => {
  expect(metersOf('voice si_1\n\n  tokens  \n')).toEqual([
    { meter: 'voice', subscription_item: 'si_1' }, { meter: 'tokens' }])
})

test('what is no whole number is left to the server', () => {
  expect([whole(''), whole(' 60 '), whole('1e3'), whole('-1')]).toEqual([0, 60, '1e3', '-1'])
})
