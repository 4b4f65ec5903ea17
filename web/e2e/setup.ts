// Runs once before all files: a server with the demo's usage, and a browser.
// CONSOLE_URL names a server that is there already, with its usage.

import { chromium } from 'playwright-core'
import type { TestProject } from 'vitest/node'
import { fill, serve, type Server } from './server'

declare module 'vitest' {
  interface ProvidedContext { url: string; browser: string }
}

const args = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
]

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env['CONSOLE_URL']
  const server: Server | undefined = given ? undefined : await serve()
  if (server) await fill(server.url).catch(async (error: unknown) => { await server.stop(); throw error })
  const browser = await chromium.launchServer({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args,
  })
  project.provide('url', given ?? server!.url)
  project.provide('browser', browser.wsEndpoint())
  return async () => {
    await browser.close()
    await server?.stop()
  }
}
