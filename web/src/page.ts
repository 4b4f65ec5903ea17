import type { Session } from './api'
import type { Route } from './router'

// Page is one page of the console. It draws into `into`, once; what lives longer than the drawing
// (requests, timers, listeners outside of `into`) ends when `signal` does: another page was opened.
export interface Page {
  title: string
  open(context: Context): void | Promise<void>
}

export interface Context {
  into: HTMLElement
  session: Session
  route: Route
  signal: AbortSignal
}

// every calls f now and each `seconds`, not while the tab is hidden nor before the last call ended,
// and at once when the tab is looked at again. What f throws ends nothing: the next call tries again.
export function every(seconds: number, signal: AbortSignal, f: () => Promise<void>): void {
  let timer = 0
  let running = false
  const tick = async () => {
    window.clearTimeout(timer)
    if (signal.aborted || running) return
    if (!document.hidden) {
      running = true
      try { await f() } catch { /* f shows what went wrong */ } finally { running = false }
    }
    if (!signal.aborted) timer = window.setTimeout(tick, seconds * 1000)
  }
  document.addEventListener('visibilitychange', tick, { signal })
  signal.addEventListener('abort', () => window.clearTimeout(timer))
  void tick()
}
