import { expect, test } from 'vitest'
import { accessible, acme, ada, answer, ben, settled, visit } from './harness'

interface Slot { meter: string; window_start: string; billable_units: string; reported_units: string; state: string }

const figures = (text: string | null) => (text ?? '').replaceAll('\u202f', '')

test('slots are those of the API, and what is in the way is said', async () => {
  const page = await visit({ as: ada, hash: '#/billing' })
  await settled(page)
  await page.getByText('This node does not report to Stripe.').waitFor()
  const today = new Date().toISOString().slice(0, 10)
  const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10)
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10)
  const slots = await answer<Slot[]>(`/v1/report/slots?from=${yesterday}&to=${tomorrow}`)
  expect(slots.length).toBeGreaterThan(0)
  slots.sort((a, b) => a.window_start < b.window_start ? 1 : a.window_start > b.window_start ? -1
    : a.meter < b.meter ? -1 : 1)
  await expect.poll(async () => (await page.locator('.slots tbody tr').evaluateAll((rows) => rows.map((row) => [
    row.querySelector('a')!.textContent,
    ...[...row.querySelectorAll('[data-units]')].slice(0, 2).map((cell) => cell.getAttribute('data-units')),
  ]))).map((row) => row.map(figures))).toEqual(slots.slice(0, 240).map((s) => [
    `${s.window_start.slice(0, 10)} ${s.window_start.slice(11, 16)}`, s.billable_units, s.reported_units,
  ]))
  const total = slots.reduce((all, s) => all + BigInt(s.billable_units), 0n)
  expect(figures(await page.locator('.sums [data-units]').first().getAttribute('data-units'))).toBe(String(total))
  await page.getByText(/slots? of this range (is|are) not mapped/).waitFor()
  await accessible(page)

  await page.getByRole('button', { name: /^pending/ }).click()
  await expect.poll(() => page.url()).toContain('state=pending')
  await page.getByText('No slot is in this state.').waitFor()
  expect(page.url()).toContain(`to=${today}`)
})

test('the estimate is the API’s', async () => {
  const page = await visit({ as: ada, hash: '#/billing' })
  await settled(page)
  const shown = await page.locator('dt', { hasText: 'So far' }).locator('xpath=..').locator('[title]').getAttribute('title')
  const { cost_usd: cost } = await answer<{ cost_usd: string }>('/v1/report/estimate')
  expect(figures(shown)).toBe(`${cost} USD`)
  await page.getByText('By meter and model').click()
  await page.getByRole('heading', { name: /^Meter:/ }).first().waitFor()
  await accessible(page)
})

test('a slot explains its number', async () => {
  const page = await visit({ as: ada, hash: '#/billing' })
  await settled(page)
  const link = page.locator('.slots a').nth(2)
  const hash = (await link.getAttribute('href'))!
  await link.click()
  await page.getByRole('heading', { name: 'Usage and rates' }).waitFor()
  const [organization, meter, hour] = hash.replace('#/billing/', '').split('/')
  expect(organization).toBe(acme)
  const x = await answer<{ exact: string; usage: object[] }>(`/v1/report/slots/${acme}/${meter}/${hour}`)
  const exact = page.locator('.sum-steps li').first().locator('[title]')
  expect(await exact.getAttribute('title')).toBe(`${x.exact} micro-USD`)
  expect(await page.getByRole('region', { name: 'Usage of the slot by model, type and rate' }).locator('tbody tr').count())
    .toBe(x.usage.length)
  await page.getByText('Stripe was not called for this slot.').waitFor()
  await accessible(page)
})

test('reports at once after asking, and says what came of it', async () => {
  const page = await visit({ as: ada, hash: '#/billing' })
  await settled(page)
  await page.getByRole('button', { name: 'Report now…' }).click()
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Cancel')
  await page.getByRole('button', { name: 'Report now', exact: true }).click()
  await page.getByRole('heading', { name: 'The pass has ended' }).waitFor()
  await page.getByText('nothing is sent without STRIPE_API_KEY').waitFor()
  await accessible(page)
})

test('a phone shows it without sideways scrolling, in the dark', async () => {
  const page = await visit({ as: ada, hash: '#/billing', width: 360, theme: 'dark' })
  await settled(page)
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
  await accessible(page)
})

test('it is not offered to a member', async () => {
  const page = await visit({ as: ben, hash: '#/billing' })
  await page.getByText('There is no such page, or it is not yours to see.').waitFor()
  expect(await page.getByRole('link', { name: 'Billing' }).count()).toBe(0)
})
