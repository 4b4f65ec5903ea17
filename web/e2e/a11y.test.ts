import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { accessible, ada, ben, helper, settled, visit } from './harness'

const agent = 'agents/12345678-1234-4234-8234-123456789012'
const pages = [
  'overview', 'agents', agent, 'explore', 'explore?group_by=model', 'events', 'billing', 'system',
  'admin/keys', 'admin/agents', 'admin/users', 'admin/rates', 'admin/organizations', 'admin/changes',
]

const contrast = ['color-contrast']

async function open(page: Page, hash: string): Promise<void> {
  await page.goto(`/#/${hash}`)
  await settled(page)
}

// sideways is by how much the page, and not a table in it, can be scrolled to the side.
function sideways(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
}

// Everything is looked for wide and light, and narrow and dark; of the other two what can differ:
// contrast, and what stands out to the side.
test.each(pages)('nothing is violated on %s, wide or narrow, light or dark', async (hash) => {
  const page = await visit({ as: ada, hash: `#/${hash}` })
  await settled(page)
  expect(await page.locator('h1').count()).toBe(1)
  for (const [width, theme, rules] of [[1280, 'light'], [1280, 'dark', contrast], [360, 'dark'], [360, 'light', contrast]] as const) {
    await page.setViewportSize({ width, height: 900 })
    await page.emulateMedia({ colorScheme: theme })
    await settled(page)
    await accessible(page, rules)
    expect(await sideways(page), `${width} px`).toBe(0)
  }
})

describe.each(['light', 'dark'] as const)('in the %s theme', (theme) => {
  test('nothing is violated where somebody signs in', async () => {
    const page = await visit({ theme, width: 360 })
    await page.getByLabel('Credential').waitFor()
    await accessible(page)
    expect(await sideways(page)).toBe(0)
  })

  test('nothing is violated in a dialog', async () => {
    const page = await visit({ as: ada, theme, width: 360, hash: '#/admin/keys' })
    await page.getByRole('button', { name: 'Make a key' }).click()
    await page.getByRole('dialog').waitFor()
    await accessible(page)
  })
})

test.each([['a member', ben, 'admin/keys'], ['an agent', helper, 'agents']])('nothing is violated for %s', async (_, as, last) => {
  const page = await visit({ as })
  for (const hash of ['overview', 'agents', 'explore', 'events', last]) {
    await open(page, hash)
    await accessible(page)
  }
})

// walk presses Tab until the focus comes round, and returns what it has not reached of what can be
// reached, and what had the focus without showing it.
async function walk(page: Page): Promise<{ missed: string[]; unseen: string[] }> {
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur())
  const all = await page.evaluate(() => {
    const found = [...document.querySelectorAll<HTMLElement>('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
      .filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.matches(':disabled'))
    found.forEach((e, i) => { e.dataset['walk'] = String(i) })
    return found.map((e) => e.outerHTML.slice(0, 120))
  })
  const reached = new Set<number>()
  const unseen: string[] = []
  for (let step = 0; step < 400 && reached.size < all.length; step++) {
    await page.keyboard.press('Tab') // a date has several stops
    const at = await page.evaluate(() => {
      const e = document.activeElement as HTMLElement
      const style = getComputedStyle(e)
      return {
        n: Number(e.dataset['walk'] ?? -1),
        shows: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
      }
    })
    if (at.n >= 0) reached.add(at.n)
    if (at.n >= 0 && !at.shows) unseen.push(all[at.n]!)
  }
  return { missed: all.filter((_, i) => !reached.has(i)), unseen }
}

test.each(['overview', 'explore', 'events', 'admin/users'])('the keyboard reaches everything of %s', async (hash) => {
  const page = await visit({ as: ada, hash: `#/${hash}` })
  await settled(page)
  expect(await walk(page)).toEqual({ missed: [], unseen: [] })
})

test('keys open pages and the search', async () => {
  const page = await visit({ as: ada, hash: '#/admin/keys' })
  await settled(page)
  await page.keyboard.press('/')
  expect(await page.evaluate(() => document.activeElement?.getAttribute('type'))).toBe('search')
  await page.keyboard.press('Tab')
  await page.keyboard.press('g')
  await page.keyboard.press('x')
  await page.getByRole('heading', { level: 1, name: 'Explore' }).waitFor()
})
