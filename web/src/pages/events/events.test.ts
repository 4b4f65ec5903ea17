import { describe, expect, test } from 'vitest'
import { actor, billed, differences, unpriced, type Revision } from './event'
import { merge } from './list'
import { draftOf, editsOf, patchOf } from './patch'
import { parametersOf, questionOf } from './question'
import { text } from '../../decimal'

const event: Revision = {
  id: '8d7bc162-0813-5d7c-88c0-fa8ca3cea92d', revision: 0, state: 'current', time: '2026-11-21T10:00:00Z',
  agent_id: '12345678-1234-4234-8234-123456789012', model: 'gpt-4o-mini', chargeable: true,
  usage: { INPUT: '1200', OUTPUT: '350' },
  pricing: {
    INPUT: { state: 'rated', rate_id: 'r', provider_cost_usd: '0.00018', billed_cost_usd: '0.000234' },
    OUTPUT: { state: 'unpriced' },
  },
  recorded_at: '2026-11-21T10:00:01Z',
}

describe('event', () => {
  test('costs what its priced types cost, and says which have no price', () => {
    expect(text(billed(event))).toBe('0.000234')
    expect(unpriced(event)).toEqual(['OUTPUT'])
  })
  test('differences name every member that changed, and nothing else', () => {
    const { agent_id: _, ...rest } = event
    const next: Revision = { ...rest, revision: 1, purpose: 'QA', chargeable: false, usage: { INPUT: '400',
      SECONDS: '2' } }
    expect(differences(event, next)).toEqual([
      { member: 'usage.INPUT', before: '1\u202f200', after: '400' },
      { member: 'usage.OUTPUT', before: '350', after: null },
      { member: 'usage.SECONDS', before: null, after: '2' },
      { member: 'agent_id', before: event.agent_id, after: null },
      { member: 'purpose', before: null, after: 'QA' },
      { member: 'chargeable', before: 'yes', after: 'no' },
    ])
    expect(differences(event, event)).toEqual([])
  })
  test('who is on record', () => {
    const id = '7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11'
    expect(actor(`user:${id} credential:x`)).toEqual({ id, rest: 'credential:x' })
    expect(actor('meterhouse')).toEqual({ id: 'meterhouse', rest: '' })
  })
})

describe('patch', () => {
  test('a form that nobody touched changes nothing', () => {
    expect(patchOf(event, draftOf(event))).toEqual({})
  })
  test('has what differs, and null for what was emptied or removed', () => {
    const draft = draftOf(event)
    draft.usage = [['INPUT', ' 400 '], ['SECONDS', '2'], ['', '7']]
    draft.texts.model = ''
    draft.texts.purpose = ' QA '
    draft.chargeable = false
    draft.cost = '0.5'
    const patch = patchOf(event, draft)
    expect(patch).toEqual({
      usage: { INPUT: '400', SECONDS: '2', OUTPUT: null }, model: null, purpose: 'QA', cost_usd: '0.5',
        chargeable: false,
    })
    expect(editsOf(event, patch)).toContainEqual({ member: 'usage.OUTPUT', before: '350', after: null })
    expect(editsOf(event, patch)).toContainEqual({ member: 'chargeable', before: 'yes', after: 'no' })
  })
})

describe('the list', () => {
  const at = (id: string, minute: string) => ({ ...event, id, time: `2026-11-21T10:${minute}:00Z` })
  test('newer events come in front, and older pages stay', () => {
    const older = [at('c', '03'), at('b', '02'), at('a', '01')]
    expect(merge([at('d', '04'), at('c', '03')], older, false).map((e) => e.id)).toEqual(['d', 'c', 'b', 'a'])
  })
  test('what was voided goes', () => {
    expect(merge([at('c', '03'), at('a', '01')], [at('c', '03'), at('b', '02'), at('a', '01')], false)
      .map((e) => e.id)).toEqual(['c', 'a'])
    expect(merge([], [at('a', '01')], true)).toEqual([])
  })
  test('a URL is a question, both ways', () => {
    const p = new URLSearchParams('agent_id=x&model=gpt-4o&from=2026-11-01T10%3A00')
    expect(questionOf(p)).toEqual({ agent: 'x', user: '', model: 'gpt-4o', from: '2026-11-01T10:00', to: '' })
    expect(parametersOf(questionOf(p)).toString()).toBe(p.toString())
  })
})
