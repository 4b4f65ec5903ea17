import { expect, test } from 'vitest'
import type { Page } from 'playwright-core'
import { accessible, ada, answer, ben, helper, settled, visit } from './harness'

interface Usage { rows: { billed_cost_usd: string; events: number; agent_id?: string; other?: boolean }[] }

const zone = 'Europe/Berlin'

function today(by = 0): string {
  const day = new Intl.DateTimeFormat('en-CA', { timeZone: zone }).format(new Date())
  const moved = new Date(`${day}T00:00:00Z`)
  moved.setUTCDate(moved.getUTCDate() + by)
  return moved.toISOString().slice(0, 10)
}

// title is the exact figure of a tile, as "28.43".
async function title(page: Page, name: string): Promise<string> {
  const value = page.locator('.tile', { hasText: name }).locator('.value span')
  return (await value.getAttribute('title') ?? '').replace(/\u202f/g, '').replace(/ .*$/, '')
}

test('the tiles are the API’s numbers', async () => {
  const page = await visit({ as: ada, hash: '#/overview' })
  const ask = () => answer<Usage>(`/v1/usage/query?granularity=total&tz=${zone}&from=${today()}&to=${today(1)}`)
  // Other tests record events meanwhile: both are read until they agree.
  await expect.poll(async () => {
    const { rows } = await ask()
    return [await title(page, 'Cost today'), await title(page, 'Events today')].join()
      === [rows[0]?.billed_cost_usd ?? '0', String(rows[0]?.events ?? 0)].join()
  }, { timeout: 25_000, interval: 500 }).toBe(true)
  expect(await page.locator('.tile', { hasText: 'Cost today' }).locator('.sub').textContent()).toMatch(/last \w+day by \d\d:\d\d/)
}, 60_000)

test('the range is in the URL, and who costs the most is the API’s', async () => {
  const page = await visit({ as: ada, hash: '#/overview' })
  await page.getByRole('button', { name: 'The last 30 days' }).click()
  await expect.poll(() => page.url()).toContain('#/overview?range=30d')
  await page.reload()
  await expect.poll(() => page.getByRole('button', { name: 'The last 30 days' }).getAttribute('aria-pressed')).toBe('true')
  await settled(page)
  const top = await answer<Usage>('/v1/usage/query?granularity=total&group_by=agent_id&top=1&order_by=billed_cost'
    + `&tz=${zone}&from=${today(-29)}&to=${today(1)}`)
  const first = page.getByRole('region', { name: 'Top agents by cost' }).locator('tbody tr').first()
  expect(await first.locator('a').getAttribute('href')).toBe(`#/agents/${top.rows.find((r) => !r.other)!.agent_id}`)
})

test('a chart is read by keys, its series switched, its numbers opened', async () => {
  const page = await visit({ as: ada, hash: '#/overview?range=7d' })
  await settled(page)
  const card = page.locator('.card', { has: page.getByRole('heading', { name: 'Cost by model' }) })
  await card.locator('.plot').focus()
  await page.keyboard.press('Home')
  await page.keyboard.press('ArrowRight')
  expect(await card.locator('[aria-live]').textContent()).toMatch(/, 01:00\. /)
  expect(await card.locator('.tooltip').isVisible()).toBe(true)
  const button = card.locator('.legend button').first()
  await button.click()
  expect(await button.getAttribute('aria-pressed')).toBe('false')
  await card.getByText('Show numbers').click()
  await expect.poll(() => card.locator('.numbers tbody tr').count()).toBeGreaterThan(160)
})

test('a member and an agent have theirs', async () => {
  for (const as of [ben, helper]) {
    const page = await visit({ as, hash: '#/overview?range=7d' })
    await settled(page)
    expect(await page.locator('.state.failed').count()).toBe(0)
    expect(await page.getByRole('region', { name: 'Top agents by cost' }).locator('tbody tr').count()).toBeGreaterThan(0)
    await accessible(page)
  }
})

test('on a phone nothing but tables moves sideways', async () => {
  const page = await visit({ as: ada, hash: '#/overview?range=30d', width: 360, theme: 'dark' })
  await settled(page)
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
  await accessible(page)
})

test('an organization without usage says how to begin', async () => {
  const page = await visit({ as: ada, hash: '#/overview?from=2020-01-01&to=2020-01-02' })
  await expect.poll(() => page.getByText('Nothing was recorded in this range.').isVisible()).toBe(true)
  expect(await page.locator('.command').textContent()).toContain('/v1/events')
})

// Bounds with room: 1 s and 400 KB are the promise, on a quiet machine it is a tenth of that.
test('the first paint comes at once, of few bytes', async () => {
  const page = await visit({ as: ada, hash: '#/overview' })
  await settled(page)
  await page.reload()
  await settled(page)
  const seen = await page.evaluate(() => {
    const paint = performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Infinity
    return { paint }
  })
  const fresh = await visit()
  await fresh.getByLabel('Credential').waitFor()
  const cold = await fresh.evaluate(() => ({
    paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Infinity,
    bytes: performance.getEntriesByType('resource').filter((e) => e.name.includes('/assets/'))
      .reduce((sum, e) => sum + (e as PerformanceResourceTiming).encodedBodySize, 0),
  }))
  console.info(`first paint ${Math.round(cold.paint)} ms cold, ${Math.round(seen.paint)} ms again; ${cold.bytes} bytes of assets`)
  expect(cold.paint).toBeLessThan(1000)
  expect(cold.bytes).toBeGreaterThan(0)
  expect(cold.bytes).toBeLessThan(400 * 1024)
})
