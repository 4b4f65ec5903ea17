import { expect, test } from 'vitest'
import { accessible, ada, answer, ben, helper, settled, visit } from './harness'

const agent = '12345678-1234-4234-8234-123456789012'

interface Usage { rows: { agent_id: string; billed_cost_usd: string; events: number }[] }

const figures = (text: string | null) => (text ?? '').replaceAll('\u202f', '')

// range is the last days of a zone, today among them, as the pages ask for it.
function range(days: number, zone = 'Europe/Berlin'): string {
  const day = (at: number) => new Intl.DateTimeFormat('en-CA', { timeZone: zone }).format(new Date(at))
  const noon = Date.parse(`${day(Date.now())}T12:00:00Z`)
  return `from=${day(noon - (days - 1) * 86_400_000)}&to=${day(noon + 86_400_000)}&tz=${encodeURIComponent(zone)}`
}

// Other tests' events may come between two answers: what is compared is asked for until it agrees.
test('the list has every agent with the cost that the API has', async () => {
  const page = await visit({ as: ada, hash: '#/agents' })
  await settled(page)
  await page.getByRole('link', { name: 'Coder' }).waitFor()
  await expect.poll(async () => {
    const { rows } = await answer<Usage>(`/v1/usage/query?${range(30)}&granularity=total&group_by=agent_id`)
    const costs = new Map(rows.map((r) => [r.agent_id, `${r.billed_cost_usd} USD`]))
    return await page.locator('tbody tr').evaluateAll((all) => all.map((row) => [
      row.querySelector('a')!.dataset['id']!, row.querySelector('.num [title]')!.getAttribute('title'),
    ])).then((shown) => shown.length === 4 && shown.every(([id, cost]) => costs.get(id!) === figures(cost!)))
  }, { timeout: 20_000 }).toBe(true)
  await accessible(page)

  await page.keyboard.press('/')
  await page.keyboard.type('voi')
  await expect.poll(() => page.locator('tbody tr').count()).toBe(1)
  await page.keyboard.press('Tab')
})

test('an agent’s page has its sum, its charts, its events and the way to Explore', async () => {
  const page = await visit({ as: ada, hash: `#/agents/${agent}?range=30d` })
  await settled(page)
  await page.getByRole('heading', { name: 'Helper', level: 1 }).waitFor()
  await expect.poll(async () => {
    const { rows } = await answer<Usage>(`/v1/agents/${agent}/usage?${range(30)}&granularity=total&group_by=`)
    return figures(await page.locator('[data-billed]').getAttribute('data-billed')) === rows[0]!.billed_cost_usd
  }, { timeout: 20_000 }).toBe(true)
  for (const name of ['Usage by type', 'Cost by model', 'Hours outside its rhythm', 'Recent events']) {
    await page.getByRole('heading', { name }).waitFor()
  }
  expect(await page.locator('canvas').count()).toBe(2)
  await page.locator('.row-link').first().waitFor()
  await accessible(page)
  await page.getByRole('link', { name: 'Explore', exact: true }).last().click()
  await expect.poll(() => page.url()).toContain(`filter.agent_id=${agent}`)
})

test('a member sees the agents of the member’s usage; a phone shows one of them', async () => {
  const page = await visit({ as: ben, hash: '#/agents', width: 360, theme: 'dark',
    expected: /status of 403 .*anomalies/ })
  await settled(page)
  const { rows } = await answer<Usage>(`/v1/usage/query?${range(30)}&granularity=total&group_by=agent_id`,
    ben)
  await expect.poll(() => page.locator('tbody tr').count()).toBe(rows.filter((r) => r.agent_id !== '').length)
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
  await accessible(page)
  await page.locator('tbody a').first().click()
  await page.getByRole('heading', { name: 'Recent events' }).waitFor()
  await settled(page)
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
  await accessible(page)
})

test('an agent’s secret opens the agent’s own page', async () => {
  const page = await visit({ as: helper, hash: '#/agents' })
  await page.getByRole('heading', { name: 'Helper', level: 1 }).waitFor()
  await settled(page)
  await accessible(page)
})
