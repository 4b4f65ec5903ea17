import { describe, expect, test } from 'vitest'
import { decimal, short, sum, text, usd } from './decimal'

describe('decimal', () => {
  test('adds what floats cannot', () => {
    expect(text(sum(['0.1', '0.2']))).toBe('0.3')
    expect(text(sum(['9007199254740993', '1', null]))).toBe('9\u202f007\u202f199\u202f254\u202f740\u202f994')
  })
  test('refuses what is none', () => {
    for (const bad of ['', '1e3', 'NaN', '1.2.3', ' 1']) expect(() => decimal(bad)).toThrow()
  })
  test('rounds half to even', () => {
    expect(text(decimal('0.125'), 2)).toBe('0.12')
    expect(text(decimal('0.135'), 2)).toBe('0.14')
    expect(text(decimal('-0.001'), 2)).toBe('0.00')
  })
  test('shows small money', () => {
    expect(usd(decimal('0'))).toBe('$0.00')
    expect(usd(decimal('1234.5'))).toBe('$1\u202f234.50')
    expect(usd(decimal('0.00000075'))).toBe('$0.00000075')
    expect(usd(decimal('-0.25'))).toBe('−$0.25')
  })
  test('shortens', () => {
    expect(short(decimal('999'))).toBe('999')
    expect(short(decimal('1234567'))).toBe('1.23\u202fM')
    expect(short(decimal('0.5'))).toBe('0.50')
  })
})
