// npm run pictures: what docs/console.md shows, of the demo's usage. Not a test, and not run with
// them.

import { mkdirSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { ada, ask, settled, visit, type Visit } from './harness'

const folder = resolve(import.meta.dirname, '../../docs/images')
const bytesMax = 150_000

interface Picture { name: string; hash: string; visit?: Visit; before?: (page: Page) => Promise<void> }

const pictures: Picture[] = [
  { name: 'overview', hash: '#/overview' },
  { name: 'overview-dark', hash: '#/overview', visit: { theme: 'dark' } },
  { name: 'overview-phone', hash: '#/overview', visit: { width: 360, height: 740 } },
  { name: 'agent', hash: '#/agents/22345678-1234-4234-8234-123456789012' },
  { name: 'explore', hash: '#/explore?group_by=model&granularity=day' },
  { name: 'events', hash: '#/events', visit: { height: 640 } },
  { name: 'event', hash: '#/events/pictured', visit: { height: 820 } },
  { name: 'billing', hash: '#/billing' },
  { name: 'system', hash: '#/system', before: live },
  { name: 'admin', hash: '#/admin/rates', visit: { height: 640 } },
]

// pictured is an event with a history.
async function pictured(): Promise<void> {
  await ask('/v1/events', {
    method: 'POST', body: JSON.stringify({
      id: 'pictured', agent_id: '22345678-1234-4234-8234-123456789012', model: 'claude-sonnet-4-5',
      usage: { INPUT: 5200, CACHED_INPUT: 26_000, OUTPUT: 1500 },
    }),
  })
  await expect.poll(async () => (await ask('/v1/events/pictured')).status, { timeout: 20_000 }).toBe(200)
  const amended = await ask('/v1/events/pictured?reason=a%20retry%20was%20counted%20twice', {
    method: 'PATCH', body: JSON.stringify({ usage: { OUTPUT: 1350 } }),
  })
  expect(amended.status).toBe(200)
}

// live has some events arrive while the system's page looks.
async function live(page: Page): Promise<void> {
  for (let n = 0; n < 12; n++) {
    const usage = Array.from({ length: 20 + 9 * (n % 4) }, () => ({ model: 'gpt-4o-mini', usage: { INPUT: 900, OUTPUT: 90 } }))
    await ask('/v1/events', { method: 'POST', body: JSON.stringify(usage) })
    await page.waitForTimeout(1000)
  }
}

test('pictures', { timeout: 180_000 }, async () => {
  mkdirSync(folder, { recursive: true })
  await pictured()
  for (const p of pictures) {
    const page = await visit({ as: ada, hash: p.hash, ...p.visit })
    await settled(page)
    await p.before?.(page)
    await page.waitForTimeout(1500)
    const path = `${folder}/console-${p.name}.png`
    await page.screenshot({ path, scale: 'css' })
    expect(statSync(path).size, p.name).toBeLessThan(bytesMax)
    await page.context().close()
  }
})
