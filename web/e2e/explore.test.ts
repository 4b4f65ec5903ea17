import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { expect, onTestFinished, test } from 'vitest'
import { sum, text } from '../src/decimal'
import { accessible, ada, answer, ask, ben, helper, settled, visit } from './harness'

interface Usage { rows: { billed_cost_usd: string; quantity: string | null }[] }

// total is the sum below the table, exact, as "28.43".
async function total(page: Page): Promise<string> {
  const title = await page.locator('tfoot [data-sum="billed_cost_usd"]').getAttribute('title')
  return (title ?? '').replace(/\u202f/g, '').replace(' USD', '')
}

async function fromAPI(path: string): Promise<string> {
  const { rows } = await answer<Usage>(path)
  return text(sum(rows.map((r) => r.billed_cost_usd))).replace(/\u202f/g, '')
}

// days of the demo that are over: nothing is added to them while the tests run.
function past(): { from: string; to: string } {
  const day = (back: number) => new Date(Date.now() - back * 86_400_000).toISOString().slice(0, 10)
  return { from: day(9), to: day(3) }
}

test('a filter, typed, and the number is the API’s', async () => {
  const { from, to } = past()
  const page = await visit({ as: ada, hash: `#/explore?from=${from}&to=${to}&tz=UTC&group_by=model` })
  await settled(page)
  const unfiltered = await total(page)
  await page.getByLabel('Add a filter').selectOption('model')
  await page.keyboard.type('gpt-4.1')
  await page.getByRole('option', { name: /^gpt-4.1/ }).waitFor()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await expect.poll(() => page.url()).toContain('filter.model=gpt-4.1')
  const expected = await fromAPI(`/v1/usage/query?from=${from}&to=${to}&granularity=total&filter.model=gpt-4.1`)
  await expect.poll(() => total(page)).toBe(expected)
  expect(expected).not.toBe(unfiltered)
  await accessible(page)
  await page.goBack()
  await expect.poll(() => total(page)).toBe(unfiltered)
})

test('the CSV adds up to what the page says', async () => {
  const { from, to } = past()
  const page = await visit({ as: ada, hash: `#/explore?from=${from}&to=${to}&tz=UTC&group_by=model,usage_type&granularity=day` })
  await settled(page)
  const started = page.waitForEvent('download')
  await page.getByRole('link', { name: 'CSV', exact: true }).click()
  const download = await started
  expect(download.suggestedFilename()).toMatch(/\.csv$/)
  const folder = mkdtempSync(join(tmpdir(), 'meterhouse-csv-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'usage.csv')
  await download.saveAs(path)
  const [head, ...lines] = readFileSync(path, 'utf8').trimEnd().split('\r\n').map((l) => l.split(','))
  const column = head!.indexOf('billed_cost_usd')
  expect(lines.length).toBeGreaterThan(50)
  const together = text(sum(lines.map((l) => l[column]!))).replace(/\u202f/g, '')
  expect(together).toBe(await total(page))
})

test('a shared URL opens the same picture elsewhere', async () => {
  const page = await visit({ as: ada, hash: '#/explore?range=7d&group_by=agent_id&filter.provider=OpenAI&measure=events' })
  await settled(page)
  await page.getByLabel('Granularity').selectOption('day')
  await page.getByLabel('Chart').selectOption('lines')
  await expect.poll(() => page.url()).toContain('chart=lines')
  await settled(page)
  const there = await visit({ as: ada, zone: 'America/Los_Angeles', hash: new URL(page.url()).hash })
  await settled(there)
  const picture = (p: Page) => p.locator('.plot').getAttribute('aria-label')
  await expect.poll(() => picture(there)).toContain('Europe/Berlin')
  await expect.poll(async () => await picture(there) === await picture(page)).toBe(true)
  expect(await there.getByLabel('Measure').inputValue()).toBe('events')
})

// lastSunday is the day of March on which Rome's clocks were last put forward.
function shortDay(): string {
  const now = new Date()
  for (let year = now.getUTCFullYear(); ; year--) {
    const day = new Date(Date.UTC(year, 2, 31))
    day.setUTCDate(31 - day.getUTCDay())
    if (day.getTime() + 2 * 86_400_000 < now.getTime()) return day.toISOString().slice(0, 10)
  }
}

test('a day of 23 hours has 23', async () => {
  const day = shortDay()
  const next = new Date(Date.parse(day) + 86_400_000).toISOString().slice(0, 10)
  const channel = 'clock change'
  const recorded = await ask('/v1/events', { method: 'POST', body: JSON.stringify(['00:30', '01:30', '21:59', '22:00'].map((at) => ({
    id: `short-day-${at}`, time: `${day}T${at}:00Z`, channel, model: 'gpt-4o-mini', usage: { INPUT: 1000 },
  }))) })
  expect(recorded.ok).toBe(true)
  const page = await visit({ as: ada, hash: `#/explore?from=${day}&to=${next}&tz=Europe%2FRome&granularity=hour`
    + '&group_by=usage_type&measure=quantity&filter.channel=clock+change' })
  await page.getByText('Show numbers').click()
  await expect.poll(() => page.locator('.numbers tbody tr').count()).toBe(23)
  const cells = await page.locator('.numbers tbody tr').allTextContents()
  const of = (hour: string) => cells.find((c) => c.includes(`, ${hour}:00`))
  expect(of('01')).toMatch(/1\u202f000$/) // 00:30 UTC
  expect(of('02')).toBeUndefined() // the clock skips it
  expect(of('03')).toMatch(/1\u202f000$/) // 01:30 UTC
  expect(of('23')).toMatch(/1\u202f000$/) // 21:59 UTC; 22:00 is the next day's
})

test('quantities of different types are not added up, and it says so', async () => {
  const page = await visit({ as: ada, hash: '#/explore?range=7d&group_by=model&measure=quantity' })
  await page.getByText('are not added up: tokens are no seconds').waitFor()
  await page.getByRole('button', { name: 'Group by usage type' }).click()
  await page.locator('.plot').waitFor()
  await expect.poll(() => page.url()).toContain('group_by=model%2Cusage_type')
  expect(await page.getByText('so these are lines').isVisible()).toBe(true)
  await page.getByRole('button', { name: 'Quantity' }).click()
  expect(await page.locator('th[aria-sort="descending"]').textContent()).toContain('Quantity')
})

test('a range that ends before it begins is told where it is chosen', async () => {
  const page = await visit({ as: ada, hash: '#/explore?range=7d' })
  await settled(page)
  await page.getByRole('button', { name: 'Custom' }).click()
  await page.getByLabel('To, inclusive').fill('2020-01-01')
  await expect.poll(() => page.locator('#range-problem').textContent()).toContain('ends before it begins')
  expect(page.url()).toContain('range=7d')
})

test('the server’s word about the range stands at its field', async () => {
  const page = await visit({ as: ada, hash: '#/explore?from=x&to=2026-01-01&tz=Nowhere', expected: /status of 400/ })
  await expect.poll(() => page.locator('#range-problem').textContent()).toMatch(/^from: /)
  await page.getByText('This could not be answered').waitFor()
  expect(await page.getByRole('combobox', { name: 'Time zone' }).inputValue()).toBe('Europe/Berlin')
  await page.getByRole('combobox', { name: 'Time zone' }).fill('Rome')
  await page.getByRole('option', { name: 'Europe/Rome' }).click()
  await page.getByRole('button', { name: 'the last 7 days' }).click()
  await page.locator('.plot').waitFor()
  expect(await page.locator('#range-problem').textContent()).toBe('')
})

test('everybody explores what is theirs, on a phone too', async () => {
  for (const as of [ben, helper]) {
    const page = await visit({ as, hash: '#/explore?range=7d&group_by=agent_id', width: 360, theme: 'dark' })
    await settled(page)
    expect(await page.locator('tbody tr').count()).toBeGreaterThan(0)
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
    await accessible(page)
  }
})
