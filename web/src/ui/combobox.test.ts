import { expect, test } from 'vitest'
import { narrow } from './combobox'

const zones = ['UTC', 'America/New_York', 'Europe/Rome', 'America/Argentina/Rio_Gallegos', 'Romania']
  .map((z) => ({ value: z, label: z }))
const of = (typed: string) => narrow(zones, typed).map((z) => z.value)

test('all words, in any order, beginnings first', () => {
  expect(of('')).toHaveLength(5)
  expect(of('rom')).toEqual(['Romania', 'Europe/Rome'])
  expect(of('york america')).toEqual(['America/New_York'])
  expect(of('new york')).toEqual(['America/New_York'])
  expect(of('nowhere')).toEqual([])
})
