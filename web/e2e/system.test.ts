import { describe, expect, test } from 'vitest'
import { ada, answer, ask, settled, visit } from './harness'
import { serve } from './server'

interface Status { node: string; version: string; ingest: Record<'accepted' | 'duplicates', number>; clickhouse: { version: string } }

const digits = (text: string | null) => Number((text ?? '').replace(/\D/g, ''))

describe('the system', () => {
  test('is shown as the API tells it, and follows it', async () => {
    const page = await visit({ as: ada, hash: '#/system' })
    await page.getByRole('heading', { name: 'Ingest' }).waitFor()
    await settled(page)
    const fact = (name: string) => page.locator(`[data-fact="${name}"] dd`)
    const status = await answer<Status>('/v1/system')
    expect(await fact('Node').getAttribute('title')).toBe(status.node)
    expect(await page.locator('.pairs [data-fact="Version"] dd').allTextContents())
      .toEqual([status.clickhouse.version, status.version])

    const accepted = page.locator('[data-total="accepted"] td').first()
    const before = digits(await accepted.textContent())
    expect(before).toBe(status.ingest.accepted)
    const events = Array.from({ length: 25 }, (_, i) => ({ id: `e2e-system-${i}`, model: 'gpt-4o-mini', usage: { INPUT: 1 } }))
    const send = () => ask('/v1/events', { method: 'POST', body: JSON.stringify(events) })
    expect((await send()).ok).toBe(true)
    expect((await send()).ok).toBe(true) // again: duplicates
    await expect.poll(async () => digits(await accepted.textContent()), { timeout: 10_000 }).toBe(before + 25)
    const after = await answer<Status>('/v1/system')
    await expect.poll(async () => digits(await page.locator('[data-total="duplicates"] td').first().textContent()))
      .toBe(after.ingest.duplicates)
    await expect.poll(() => page.locator('[data-fact="Accepted"] dd').textContent()).toMatch(/\/s$/)
  })

  // A server of its own, which is killed as by a power cut.
  test('says that the server is lost, keeps what it showed, and recovers', async () => {
    const own = await serve()
    try {
      const page = await visit({ as: ada, hash: '#/system', origin: own.url, expected: /ERR_|Failed to load resource/ })
      await page.getByRole('heading', { name: 'Ingest' }).waitFor()
      const node = await page.locator('[data-fact="Node"] dd').getAttribute('title')
      await own.kill()
      await page.getByText('The server cannot be reached.').waitFor()
      await page.getByText(/^From \d\d:\d\d:\d\d; not reached since\.$/).waitFor()
      expect(await page.locator('.stale').count()).toBe(1)
      expect(await page.locator('[data-fact="Node"] dd').getAttribute('title')).toBe(node)
      await own.start()
      await page.locator('.stale').waitFor({ state: 'detached', timeout: 30_000 })
      expect(await page.getByText('The server cannot be reached.').isVisible()).toBe(false)
    } finally {
      await own.stop()
    }
  })
})
