// The theme is the system's until somebody chooses; the choice stays in this browser.

const key = 'meterhouse-theme'
export type Theme = 'auto' | 'light' | 'dark'

export function theme(): Theme {
  try {
    const kept = localStorage.getItem(key)
    return kept === 'light' || kept === 'dark' ? kept : 'auto'
  } catch { return 'auto' }
}

// applyTheme sets a theme, and keeps it where the browser lets us.
export function applyTheme(t: Theme): void {
  if (t === 'auto') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = t
  try {
    if (t === 'auto') localStorage.removeItem(key)
    else localStorage.setItem(key, t)
  } catch { /* a browser that keeps nothing */ }
}
