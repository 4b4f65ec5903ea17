import { defineConfig } from 'vitest/config'

// One server and one browser serve all files, one after the other: see setup.ts.
export default defineConfig({
  cacheDir: '../node_modules/.vite-e2e',
  test: {
    root: import.meta.dirname,
    include: process.env['PICTURES'] ? ['pictures.ts'] : ['*.test.ts'],
    globalSetup: './setup.ts',
    fileParallelism: false,
    maxWorkers: 1,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 10_000, interval: 100 } },
  },
})
