import type { Locator, Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { acme, ada, answer, ask, ben, settled, visit } from './harness'

interface Key { id: string; name: string; kind: string }

function row(page: Page, text: string): Locator {
  return page.getByRole('row').filter({ hasText: text })
}

// keyNamed is what the API says of a key; undefined when there is none of that name.
async function keyNamed(name: string, credential = ada): Promise<Key | undefined> {
  const { items } = await answer<{ items: Key[] }>('/v1/admin/credentials?limit=1000', credential)
  return items.find((key) => key.name === name)
}

describe('keys', () => {
  test('one is made, shown once, used, retired and refused', async () => {
    const page = await visit({ as: ada, hash: '#/admin/keys' })
    await page.getByRole('button', { name: 'Make a key' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Agent', { exact: true }).selectOption({ label: 'Voice' })
    await dialog.getByLabel('Name').fill('e2e voice')
    await dialog.getByLabel('Requests a minute').fill('600')
    await dialog.getByRole('button', { name: 'Make it' }).click()
    await page.getByText('This is the only time it is shown.').waitFor()
    const secret = await page.locator('.secret code').textContent()
    expect(secret).toMatch(/^mh_agent_[A-Z2-7]{26}$/)

    await page.keyboard.press('Escape') // it would be gone
    await page.getByRole('button', { name: 'I have copied it' }).click()
    await row(page, 'e2e voice').waitFor()
    expect(await row(page, 'e2e voice').textContent()).toContain('600/min')
    expect(await page.content()).not.toContain(secret!)

    const use = () => ask('/v1/events', {
      method: 'POST', body: JSON.stringify({ id: 'e2e-key-1', model: 'vapi', usage: { VAPI_SECONDS: 3 } }),
    }, secret!)
    expect((await use()).status).toBe(201)

    await page.getByRole('button', { name: 'Retire “e2e voice”' }).click()
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Cancel')
    await page.getByRole('dialog').getByRole('button', { name: 'Retire it' }).click()
    await row(page, 'e2e voice').waitFor({ state: 'detached' })
    expect(await keyNamed('e2e voice')).toBeUndefined()
    expect((await use()).status).toBe(401)
  })

  test('what the server refuses is said at its field, and what was entered stays', async () => {
    const page = await visit({ as: ada, hash: '#/admin/keys', expected: /status of 422/ })
    await page.getByRole('button', { name: 'Make a key' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Name').fill('e2e late')
    await dialog.getByLabel('Expires').fill('2020-01-01')
    await dialog.getByRole('button', { name: 'Make it' }).click()
    await dialog.locator('.field', { hasText: 'Expires' }).locator('.field-error').waitFor()
    expect(await dialog.getByLabel('Expires').getAttribute('aria-invalid')).toBe('true')
    expect(await dialog.getByLabel('Name').inputValue()).toBe('e2e late')
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    expect(await keyNamed('e2e late')).toBeUndefined()
  })

  test('a member sees and makes their own alone', async () => {
    const page = await visit({ as: ben, hash: '#/admin/keys' })
    await settled(page)
    expect(await page.getByRole('navigation', { name: 'Administration' }).count()).toBe(0)
    await page.getByRole('row').nth(1).waitFor()
    const users = await page.locator('tbody tr td:nth-child(3)').allTextContents()
    expect(new Set(users)).toEqual(new Set(['Ben user']))
    await page.getByRole('button', { name: 'Make a key' }).click()
    const dialog = page.getByRole('dialog')
    expect(await dialog.getByLabel('Kind').locator('option').count()).toBe(2)
    await dialog.getByLabel('Name').fill('e2e ben')
    await dialog.getByRole('button', { name: 'Make it' }).click()
    const secret = await page.locator('.secret code').textContent()
    const own = await keyNamed('e2e ben', secret!)
    expect(own?.kind).toBe('access_token')
    expect((await ask(`/v1/admin/credentials/${own!.id}`, { method: 'DELETE' })).status).toBe(204)
  })
})

describe('the catalog', () => {
  test('an agent is made, renamed and retired, and each is on record', async () => {
    const page = await visit({ as: ada, hash: '#/admin/agents' })
    await page.getByRole('button', { name: 'Make an agent' }).click()
    await page.getByRole('dialog').getByLabel('Name').fill('e2e planner')
    await page.getByRole('dialog').getByLabel('Owner').selectOption({ label: 'Ben' })
    await page.getByRole('dialog').getByRole('button', { name: 'Make it' }).click()
    await row(page, 'e2e planner').waitFor()
    expect(await row(page, 'e2e planner').textContent()).toContain('Ben')

    await page.getByRole('button', { name: 'Change e2e planner' }).click()
    await page.getByRole('dialog').getByLabel('Name').fill('e2e <b>planner</b>')
    await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
    await row(page, 'e2e <b>planner</b>').waitFor()

    await page.getByRole('button', { name: 'Retire e2e <b>planner</b>' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Retire it' }).click()
    await row(page, 'e2e <b>planner</b>').waitFor({ state: 'detached' })

    await page.getByRole('link', { name: 'Changes' }).click()
    await row(page, 'e2e <b>planner</b>').first().waitFor()
    const words = await row(page, 'planner').locator('.badge').allTextContents()
    expect(words.slice(0, 3)).toEqual(['retired', 'changed', 'made'])
  })

  test('usage without a rate gets one, prefilled', async () => {
    const page = await visit({ as: ada, hash: '#/admin/rates' })
    const unpriced = page.getByRole('region', { name: 'Usage without a rate' }).first()
    await unpriced.getByRole('button', { name: 'Add a rate for llama-3.3-70b INPUT' }).click()
    const dialog = page.getByRole('dialog')
    expect(await dialog.getByLabel('Model').inputValue()).toBe('llama-3.3-70b')
    expect(await dialog.getByLabel('Usage type').inputValue()).toBe('INPUT')
    await dialog.getByLabel('Costs us').fill('0.59')
    await dialog.getByLabel('Billed').fill('0.767')
    await dialog.getByLabel('From').fill('2199-01-01') // other tests count on what has no price
    await dialog.getByRole('button', { name: 'Add it' }).click()
    const made = page.getByRole('row').filter({ hasText: 'llama-3.3-70b' }).filter({ hasText: '2199-01-01' })
    await made.waitFor()
    expect(await made.textContent()).toContain('to come')
    expect(await made.textContent()).toContain('+30 %')
    const { items } = await answer<{ items: { id: string; model: string; billed_usd_per_million: string }[] }>(
      '/v1/admin/text_model_costs?limit=1000')
    const rate = items.find((each) => each.model === 'llama-3.3-70b')!
    expect(rate.billed_usd_per_million).toBe('0.767')
    expect((await ask(`/v1/admin/text_model_costs/${rate.id}`, { method: 'DELETE' })).status).toBe(204)
  })

  test('a user is added with a role, made inactive and retired', async () => {
    const page = await visit({ as: ada, hash: '#/admin/users' })
    await page.getByRole('button', { name: 'Add a user' }).click()
    await page.getByRole('dialog').getByLabel('Name').fill('e2e Eve')
    await page.getByRole('dialog').getByLabel('Role').selectOption('admin')
    await page.getByRole('dialog').getByRole('button', { name: 'Add them' }).click()
    await row(page, 'e2e Eve').waitFor()
    await page.getByRole('button', { name: 'Change e2e Eve' }).click()
    await page.getByRole('dialog').getByLabel('State').selectOption('inactive')
    await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
    await row(page, 'e2e Eve').getByText('inactive', { exact: true }).waitFor()
    const { items } = await answer<{ items: { role: string; active: boolean; user_id: string }[] }>(
      `/v1/admin/memberships?organization_id=${acme}`)
    expect(items.filter((m) => !m.active).map((m) => m.role)).toEqual(['admin'])
    await page.getByRole('button', { name: 'Retire e2e Eve' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Retire them' }).click()
    await row(page, 'e2e Eve').waitFor({ state: 'detached' })
  })
})
