// Starts the program as an operator would, on a port and a folder of its own.

import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, dirname, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../..')
const program = process.env['METERHOUSE_BIN'] ?? join(root, 'bin/meterhouse')
const generator = process.env['LOADTEST_BIN'] ?? join(dirname(program), 'loadtest')
const library = join(root, 'engine/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so')
const startTimeout = 90_000

// jwtSecret signs the tokens of those who come by an identity provider.
export const jwtSecret = 'a secret of the end-to-end tests, 32 bytes at least'

export interface Server {
  url: string
  data: string
  kill(): Promise<void> // as a power cut would: what is in the folder stays
  start(): Promise<void> // again, on the same address and folder
  stop(): Promise<void> // in order, and the folder goes
}

// environment is this one without what would configure the server by accident.
function environment(): NodeJS.ProcessEnv {
  const clean = Object.entries(process.env).filter(([name]) => !/^(METERHOUSE|LOADTEST)_/.test(name))
  const env: NodeJS.ProcessEnv = { ...Object.fromEntries(clean), METERHOUSE_JWT_SECRET: jwtSecret }
  if (!env['LIBCHDB_PATH'] && existsSync(library)) env['LIBCHDB_PATH'] = library
  return env
}

// serve starts `meterhouse serve --demo` and resolves when it accepts requests.
export async function serve(...flags: string[]): Promise<Server> {
  const data = mkdtempSync(join(tmpdir(), 'meterhouse-e2e-'))
  let child: ChildProcess
  let address = '127.0.0.1:0'
  const start = async () => {
    const run = spawn(program,
      ['serve', '--demo', '--data', data, '--listen', address, ...flags], { env: environment() })
    child = run
    address = await listening(run)
  }
  await start()
  return {
    get url() { return `http://${address}` },
    data,
    start,
    kill: () => ended(child, 'SIGKILL'),
    async stop() {
      await ended(child, 'SIGTERM')
      rmSync(data, { recursive: true, force: true })
    },
  }
}

function listening(child: ChildProcess): Promise<string> {
  return new Promise((found, fail) => {
    let said = ''
    const late = setTimeout(() => { child.kill('SIGKILL'); fail(new Error(`no server yet: ${said}`)) }, startTimeout)
    const hear = (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-20_000)
      const match = /accepts requests on https?:\/\/(\S+)/.exec(said)
      if (match) { clearTimeout(late); found(match[1]!) }
    }
    child.stdout!.on('data', hear)
    child.stderr!.on('data', hear)
    child.on('error', (error) => { clearTimeout(late); fail(error) })
    child.on('exit', (code) => { clearTimeout(late); fail(new Error(`the server ended (${code}): ${said}`)) })
  })
}

function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((done) => {
    child.once('exit', () => done())
    child.kill(signal)
  })
}

// fill sends the demo's usage and resolves when a read sees all of it.
export async function fill(url: string, ...flags: string[]): Promise<void> {
  const run = spawn(generator, ['demo', '--url', url, ...flags], { env: environment() })
  let said = ''
  run.stdout.on('data', (chunk: Buffer) => { said += chunk.toString() })
  run.stderr.on('data', (chunk: Buffer) => { said += chunk.toString() })
  const code = await new Promise((done) => { run.on('error', done); run.on('exit', done) })
  if (code !== 0) throw new Error(`loadtest demo: ${String(code)}: ${said}`)
  for (let before = -1; ;) {
    const day = (by: number) => new Date(Date.now() + by * 86_400_000).toISOString().slice(0, 10)
    const answer = await fetch(`${url}/v1/usage/query?granularity=total&from=${day(-30)}&to=${day(1)}`,
      { headers: { Authorization: 'Bearer dop_v1_demo_ada' } })
    if (!answer.ok) throw new Error(`usage: ${answer.status} ${await answer.text()}`)
    const { rows } = await answer.json() as { rows: { events: number | null }[] }
    const events = rows.reduce((sum, row) => sum + (row.events ?? 0), 0)
    if (events > 0 && events === before) return
    before = events
    await new Promise((wake) => setTimeout(wake, 300))
  }
}
