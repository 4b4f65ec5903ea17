import { createHmac } from 'node:crypto'
import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { acme, ada, ben, helper, signIn, visit } from './harness'
import { jwtSecret } from './server'

const refused = /status of 401 .*\/console\/session/

// token is a JWT as an identity provider of ours would give Ada.
function token(): string {
  const part = (o: object) => Buffer.from(JSON.stringify(o)).toString('base64url')
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({
    sub: '7b0e6c1e-2f5c-4a77-8b30-6f8f1d6f2d11', exp: Math.floor(Date.now() / 1000) + 600,
  })}`
  return `${signed}.${createHmac('sha256', jwtSecret).update(signed).digest('base64url')}`
}

function who(page: Page): Promise<string | null> {
  return page.locator('.account .who').textContent()
}

describe('signing in', () => {
  test.each([
    ['an access token', ada, 'Acme · Ada (superadmin)'],
    ['a member’s access token', ben, 'Acme · Ben (member)'],
    ['an app password', 'app_a7_demo_ada', 'Acme · Ada (superadmin)'],
    ['an agent’s secret', helper, 'Acme · Helper (agent)'],
    ['a login token', '11111111-1111-4111-8111-111111111111', 'Acme · Ada (superadmin)'],
    ['a JWT', token(), 'Acme · Ada (superadmin)'],
  ])('takes %s', async (_, credential, shown) => {
    const page = await visit({ as: credential })
    expect(await who(page)).toBe(shown)
  })

  test('names the organization of a JWT', async () => {
    const page = await visit()
    await page.getByText('A token for several organizations?').click()
    await page.getByLabel('Organization id').fill(acme)
    await signIn(page, token())
    expect(await who(page)).toContain('Acme')
  })

  test('says that nobody has a credential, and keeps the question', async () => {
    const page = await visit({ hash: '#/explore?group_by=model', expected: refused })
    await page.getByLabel('Credential').fill('dop_v1_demo_nobody')
    await page.keyboard.press('Enter')
    await page.getByText('Nobody has this credential').waitFor()
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('credential')
    await signIn(page, ada)
    await page.getByRole('heading', { level: 1, name: 'Explore' }).waitFor()
  })

  test('leaves nothing that a script could read', async () => {
    const page = await visit({ as: ada })
    expect(await page.evaluate(() => document.cookie)).toBe('')
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]))
    expect(kept).not.toContain(ada)
    expect(await page.content()).not.toContain(ada)
    const [cookie] = await page.context().cookies()
    expect(cookie).toMatchObject({ name: 'meterhouse_session', httpOnly: true, sameSite: 'Strict', path: '/' })
    expect(cookie!.value).not.toContain(ada)
  })

  test('lasts over a reload, and ends when signed out', async () => {
    const page = await visit({ as: ada })
    const before = await page.context().cookies()
    await page.reload()
    await page.getByRole('navigation', { name: 'Pages', exact: true }).waitFor()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Credential').waitFor()
    expect(await page.context().cookies()).toEqual([])
    expect(before).toHaveLength(1)
    await page.reload()
    await page.getByLabel('Credential').waitFor()
  })

  test('a role is offered the pages it can use', async () => {
    const page = await visit({ as: ben })
    const names = await page.getByRole('navigation', { name: 'Pages', exact: true }).getByRole('link').allTextContents()
    expect(names).toEqual(['Overview', 'Agents', 'Explore', 'Events', 'Admin'])
    await page.goto('/#/system')
    await page.getByText('There is no such page, or it is not yours to see.').waitFor()
  })
})
