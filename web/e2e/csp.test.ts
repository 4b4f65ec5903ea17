import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { ada, ask, settled, url, visit } from './harness'

const pages = ['overview', 'agents', 'explore', 'events', 'billing', 'system', 'admin/keys', 'admin/agents', 'admin/changes']

describe('the policy', () => {
  test('is strict, and every answer of the console has it', async () => {
    const index = await fetch(url)
    const html = await index.text()
    const script = /src="(\/assets\/[^"]+\.js)"/.exec(html)![1]!
    for (const path of ['/', script, '/favicon.svg', '/console/session']) {
      const { headers } = await fetch(url + path)
      const policy = headers.get('content-security-policy') ?? ''
      expect(policy, path).toContain("default-src 'none'")
      expect(policy, path).toContain("script-src 'self'")
      expect(policy, path).toContain("frame-ancestors 'none'")
      expect(policy, path).not.toMatch(/unsafe|\*|https?:/)
      expect(headers.get('x-content-type-options'), path).toBe('nosniff')
    }
    expect(html).not.toMatch(/<script(?![^>]*src=)|\son\w+=|\sstyle=/)
  })

  // What a page would run of a name that is markup is seen by the harness too: the policy's report
  // is an error of the console.
  test('names that are markup are text on every page', async () => {
    const name = '<img src=x onerror="window.harmed=true"><script>window.harmed=true</script>'
    const made = await ask('/v1/admin/agents', { method: 'POST', body: JSON.stringify({ name }) })
    const { id } = await made.json() as { id: string }
    const recorded = await ask('/v1/events', {
      method: 'POST', body: JSON.stringify({ id: 'e2e-markup', agent_id: id, model: '<img src=x onerror=alert(1)>', usage: { INPUT: 1 } }),
    })
    expect(recorded.status).toBe(201)
    const page = await visit({ as: ada })
    for (const each of [...pages, `agents/${id}`, 'events/e2e-markup']) {
      await page.goto(`/#/${each}`)
      await settled(page)
    }
    await page.goto('/#/admin/agents')
    await page.getByText(name, { exact: true }).waitFor()
    expect(await page.evaluate(() => ({
      harmed: 'harmed' in window, images: document.querySelectorAll('main img').length,
    }))).toEqual({ harmed: false, images: 0 })
    expect((await ask(`/v1/admin/agents/${id}`, { method: 'DELETE' })).status).toBe(204)
  })

  test('a script that somebody put into the page does not run', async () => {
    const page = await visit({ as: ada, expected: /Content Security Policy|violates the following/ })
    await page.evaluate(() => {
      const script = document.createElement('script')
      script.textContent = 'window.harmed = true'
      document.body.append(script)
    })
    expect(await page.evaluate(() => 'harmed' in window)).toBe(false)
  })
})

test('the console is at most 400 KB compressed', async () => {
  const seen = new Map<string, number>()
  const take = async (path: string): Promise<void> => {
    if (seen.has(path)) return
    seen.set(path, 0)
    const body = Buffer.from(await (await fetch(url + path)).arrayBuffer())
    seen.set(path, gzipSync(body).length)
    for (const [, asset] of body.toString().matchAll(/["'`(](?:\.?\/)?((?:assets\/)?[\w-]+-[\w-]{8}\.(?:js|css))["'`)]/g)) {
      await take(`/${asset!.startsWith('assets/') ? '' : 'assets/'}${asset}`)
    }
  }
  await take('/')
  const total = [...seen.values()].reduce((sum, n) => sum + n, 0)
  expect(seen.size).toBeGreaterThan(2)
  expect(total).toBeLessThan(400_000)
})
