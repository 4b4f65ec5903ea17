import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { accessible, ada, answer, ask, ben, helper, settled, visit } from './harness'

const agent = '12345678-1234-4234-8234-123456789012'

interface Event { id: string; revision: number; usage: Record<string, string>; pricing: Record<string,
  { billed_cost_usd?: string }> }

// record sends an event of our own, so that no other test's numbers move, and returns its id.
async function record(key: string): Promise<string> {
  const response = await ask('/v1/events?results=true&wait=stored', {
    method: 'POST',
    body: JSON.stringify({
      id: key, agent_id: agent, model: 'gpt-4o-mini', provider: 'OpenAI', channel: 'e2e',
        usage: { INPUT: 1200, OUTPUT: 350 },
    }),
  })
  const { results } = await response.json() as { results: { id: string }[] }
  return results[0]!.id
}

// unique keeps a second run against the same server from finding the first one's events amended.
const unique = (name: string) => `e2e-${name}-${Date.now().toString(36)}`

async function amendTo(page: Page, input: string, reason: string): Promise<void> {
  await page.getByRole('button', { name: 'Amend…' }).click()
  await page.getByRole('textbox', { name: 'INPUT' }).fill(input)
  await page.getByLabel('Reason, for the record').fill(reason)
}

describe('the list of events', () => {
  test('finds an event by the id that its client gave it', async () => {
    const key = unique('find')
    const id = await record(key)
    const page = await visit({ as: ada, hash: '#/events' })
    await page.locator('#find').waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type(key)
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: `Event ${id.slice(0, 8)}` }).waitFor()
    await accessible(page)
  })

  test('says at the search what nobody has', async () => {
    const page = await visit({ as: ada, hash: '#/events', expected: /status of 404/ })
    await page.getByLabel('Find an event').fill('no-such-event')
    await page.getByRole('button', { name: 'Open' }).click()
    await page.getByText('No event that you may see has this id.').waitFor()
  })

  test('filters by a name, keeps it in the URL, and shows what the API answers', async () => {
    const page = await visit({ as: ada, hash: '#/events' })
    await settled(page)
    await page.getByLabel('Agent').fill('Voice')
    await page.getByRole('button', { name: 'Filter' }).click()
    await expect.poll(() => page.url()).toContain('agent_id=32345678-1234-4234-8234-123456789012')
    await settled(page)
    const { items } = await answer<{ items: Event[] }>('/v1/events?agent_id=32345678-1234-4234-8234-123456789012&limit=50')
    await expect.poll(() => page.locator('.row-link').evaluateAll((links) =>
      links.map((l) => (l as HTMLElement).dataset['id']))).toEqual(items.map((e) => e.id))
    await page.getByRole('button', { name: 'Load more' }).click()
    await expect.poll(() => page.locator('.row-link').count()).toBeGreaterThan(50)
    await expect.poll(() => page.evaluate(() => document.activeElement?.className)).toContain('row-link')
    await accessible(page)
  })

  // Without the focus in keepingFocus it was nowhere after the redraw: undefined instead of the id.
  test('follows what is recorded, without taking the focus', async () => {
    const page = await visit({ as: ada, hash: '#/events' })
    await settled(page)
    const first = page.locator('.row-link').first()
    await first.focus()
    const focused = await first.getAttribute('data-id')
    const id = await record(unique('live'))
    await page.locator(`[data-id="${id}"]`).waitFor()
    expect(await page.evaluate(() => (document.activeElement as HTMLElement).dataset['id'])).toBe(focused)
  })

  test('does not scroll sideways on a phone', async () => {
    const page = await visit({ as: ada, hash: '#/events', width: 360, theme: 'dark' })
    await settled(page)
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
    await accessible(page)
  })
})

describe('correcting an event', () => {
  test('amends it with a reason, and shows the sum that the API has', async () => {
    const id = await record(unique('amend'))
    const page = await visit({ as: ada, hash: `#/events/${id}` })
    await amendTo(page, '400', 'cached tokens were counted twice')
    expect(await page.locator('.review').textContent()).toContain('400')
    await accessible(page)
    await page.getByRole('button', { name: 'Amend the event' }).click()
    await page.getByRole('heading', { name: 'As it counts now: revision 1' }).waitFor()
    const now = await answer<Event>(`/v1/events/${id}`)
    expect(now).toMatchObject({ revision: 1, usage: { INPUT: '400', OUTPUT: '350' },
      reason: 'cached tokens were counted twice' })
    const billed = (BigInt(400) * 195n + BigInt(350) * 780n).toString().padStart(10, '0') // in 10^-9 USD
    const sum = `0.${billed.slice(-9)}`.replace(/0+$/, '')
    expect(Object.values(now.pricing).map((p) => p.billed_cost_usd)).toEqual(['0.000078', '0.000273'])
    expect(await page.locator('[data-billed]').getAttribute('data-billed')).toBe(sum)
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('now')
    await page.getByText('“cached tokens were counted twice”').waitFor()
    expect(await page.locator('.changes').first().textContent()).toMatch(/INPUT\s*1\s?200\s*→/)
    await page.getByText('The event is amended.').waitFor()
    await accessible(page)
  })

  // Without If-Match the amendment went through over theirs, and no such text came.
  test('refuses to overwrite what somebody else corrected meanwhile, and says who', async () => {
    const id = await record(unique('race'))
    const page = await visit({ as: ada, hash: `#/events/${id}`, expected: /status of 412/ })
    await amendTo(page, '400', 'ours')
    await ask(`/v1/events/${id}?reason=theirs`, { method: 'PATCH', body: JSON.stringify({ purpose: 'QA' }) })
    await page.getByRole('button', { name: 'Amend the event' }).click()
    await page.getByText(/Changed meanwhile by Ada at .*; look again/).waitFor()
    await page.getByRole('button', { name: 'Look again' }).click()
    await page.getByRole('heading', { name: 'As it counts now: revision 1' }).waitFor()
    expect(await answer<Event>(`/v1/events/${id}`)).toMatchObject({ revision: 1, purpose: 'QA',
      usage: { INPUT: '1200' } })
  })

  // Without placeFaults the dialog had one line for all, and the field none.
  test('says at the field what cannot be', async () => {
    const id = await record(unique('fault'))
    const page = await visit({ as: ada, hash: `#/events/${id}`, expected: /status of 422/ })
    await amendTo(page, '-1', 'to be refused')
    await page.getByRole('button', { name: 'Amend the event' }).click()
    await page.locator('.usage-row', { hasText: 'INPUT' }).locator('.field-error').waitFor()
    expect(await page.getByRole('textbox', { name: 'INPUT' }).getAttribute('aria-invalid')).toBe('true')
    expect(await answer<Event>(`/v1/events/${id}`)).toMatchObject({ revision: 0 })
  })

  // Without cancelFirst the focus was on the reason, not on Cancel.
  test('voids it after asking, with the focus on Cancel', async () => {
    const id = await record(unique('void'))
    const page = await visit({ as: ada, hash: `#/events/${id}` })
    await page.getByRole('button', { name: 'Void…' }).click()
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Cancel')
    await page.getByLabel('Reason, for the record').fill('a test run')
    await accessible(page)
    await page.getByRole('button', { name: 'Void the event' }).click()
    await page.getByText('Voided: this event counts for nothing.').waitFor()
    expect((await ask(`/v1/events/${id}`)).status).toBe(404)
    const { revisions } = await answer<{ revisions: object[] }>(`/v1/events/${id}/history`)
    expect(revisions[0]).toMatchObject({ state: 'voided', voided_reason: 'a test run' })
    expect(await page.getByRole('button', { name: 'Amend…' }).count()).toBe(0)
  })
})

// With the buttons drawn for every role there were 2, not 0.
test('a member sees the member’s own events without a way to correct them, and the API refuses', async () => {
  const page = await visit({ as: ben, hash: '#/events' })
  await settled(page)
  const link = page.locator('.row-link').first()
  const id = await link.getAttribute('data-id')
  await link.click()
  await page.getByRole('heading', { name: 'What it costs' }).waitFor()
  expect(await page.getByRole('button', { name: /Amend|Void/ }).count()).toBe(0)
  await accessible(page)
  expect((await ask(`/v1/events/${id}`, { method: 'DELETE' }, ben)).status).toBe(403)
})

test('an agent’s secret sees the agent’s events only', async () => {
  const page = await visit({ as: helper, hash: '#/events' })
  await settled(page)
  const { items } = await answer<{ items: { agent_id: string }[] }>('/v1/events?limit=20', helper)
  expect(new Set(items.map((e) => e.agent_id))).toEqual(new Set([agent]))
  expect(await page.locator('.row-link').count()).toBeGreaterThan(0)
  expect(await page.locator('.events tbody tr a[href^="#/agents/"]').evaluateAll((all) =>
    all.filter((a) => a.textContent !== 'Helper').length)).toBe(0)
})
