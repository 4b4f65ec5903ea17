// What every browser test begins with:
//
//   const page = await visit({ as: ada, hash: '#/explore?group_by=model' })
//   await expect.poll(() => page.locator('h1').textContent()).toBe('Explore')
//
// The page is closed with its test, and the test fails when the page had an error in its console,
// an exception or rejection that nobody caught, or something that the policy forbids.

import axe from 'axe-core'
import { chromium, type Browser, type Page } from 'playwright-core'
import { expect, inject, onTestFinished } from 'vitest'

// The demo catalog's credentials.
export const ada = 'dop_v1_demo_ada' // superadmin
export const ben = 'dop_v1_demo_ben' // member
export const helper = 'demo-agent-secret-1' // agent
export const acme = '0c7c2a52-63a9-4a0e-9a3b-1d6a2a1f9e55'

// url is the server's origin.
export const url = inject('url')

export interface Visit {
  as?: string // the credential to sign in with; without one the page stays where it is
  hash?: string // as "#/explore?…"
  theme?: 'light' | 'dark'
  width?: number
  height?: number
  zone?: string // of the browser
  origin?: string // of another server than everybody's
  expected?: RegExp // console errors that belong to the test, as the 412 it provokes
}

let browser: Promise<Browser> | undefined

// visit opens the console in a browser profile of its own.
export async function visit(v: Visit = {}): Promise<Page> {
  browser ??= chromium.connect(inject('browser'))
  const context = await (await browser).newContext({
    baseURL: v.origin ?? url,
    viewport: { width: v.width ?? 1280, height: v.height ?? 900 },
    colorScheme: v.theme ?? 'light',
    timezoneId: v.zone ?? 'Europe/Berlin',
    locale: 'en-GB',
    reducedMotion: 'reduce',
    acceptDownloads: true,
  })
  context.setDefaultTimeout(15_000)
  const page = await context.newPage()
  const problems = watch(page, v.expected)
  onTestFinished(async () => {
    await context.close()
    expect(problems, 'what the page complained about').toEqual([])
  })
  await page.goto(`/${v.hash ?? ''}`)
  if (v.as !== undefined) await signIn(page, v.as)
  return page
}

// signIn fills the form and waits for the frame of the console.
export async function signIn(page: Page, credential: string): Promise<void> {
  await page.getByLabel('Credential').fill(credential)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('navigation', { name: 'Pages', exact: true }).waitFor()
}

// Nobody is signed in at first, which the browser notes as a failed request.
const notSignedIn = /status of 401 .*\/console\/session$/

function watch(page: Page, expected?: RegExp): string[] {
  const problems: string[] = []
  const add = (text: string) => {
    if (!notSignedIn.test(text) && !expected?.test(text)) problems.push(text)
  }
  page.on('console', (m) => {
    if (m.type() === 'error') add(`${m.text()} ${m.location().url}`)
  })
  page.on('pageerror', (error) => add(`uncaught: ${error.message}`))
  page.on('crash', () => add('the page crashed'))
  return problems
}

// settled waits until nothing is loading and the layout has been drawn.
export async function settled(page: Page): Promise<void> {
  await page.waitForFunction(() => document.querySelector('main h1') !== null
    && document.querySelector('[aria-busy="true"], .state.loading') === null)
  await page.evaluate(() => new Promise((drawn) =>
    requestAnimationFrame(() => requestAnimationFrame(drawn))))
}

// accessible fails on what axe finds against WCAG 2.0 to 2.2, A and AA, or against some rules of it.
export async function accessible(page: Page, rules?: readonly string[]): Promise<void> {
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('Runtime.evaluate', { expression: axe.source }) // the policy binds the page, not us
  await cdp.detach()
  const found = await page.evaluate(async (only) => {
    const { axe } = window as unknown as { axe: typeof import('axe-core') }
    const result = await axe.run(document, {
      runOnly: only ?? ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], resultTypes: ['violations'],
    })
    return result.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.html.slice(0, 160)}: ${n.failureSummary}`))
  }, rules && [...rules])
  expect(found, `violations at ${page.url()}`).toEqual([])
}

// answer asks the API as a program does, beside the browser.
export async function answer<T>(path: string, credential = ada, origin = url): Promise<T> {
  const response = await ask(path, {}, credential, origin)
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  return await response.json() as T
}

// ask is answer with the response itself, for other methods and for what is refused.
export function ask(path: string, init: RequestInit = {}, credential = ada, origin = url): Promise<Response> {
  const headers = new Headers(init.headers)
  if (credential.startsWith('demo-agent') || credential.startsWith('mh_agent_')) {
    headers.set('Agent-Secret-Key', credential)
  } else headers.set('Authorization', `Bearer ${credential}`)
  if (init.body) headers.set('Content-Type', 'application/json')
  return fetch(`${origin}${path}`, { ...init, headers })
}
