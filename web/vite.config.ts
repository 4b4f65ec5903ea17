import { defineConfig } from 'vite'

export default defineConfig({
  // Beside the handlers that embed it. public/.keep is copied along: Go needs a file to embed.
  build: {
    outDir: '../server/console/dist',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0, // a data: URL would need a hole in the policy
    modulePreload: { polyfill: false },
  },
  // npm run dev: the pages from here, everything else from a serve on its usual address.
  server: {
    proxy: Object.fromEntries(
      ['/v1', '/console', '/openapi.json', '/docs'].map((path) => [path, 'http://127.0.0.1:8080']),
    ),
  },
})
