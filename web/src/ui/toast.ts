import { h } from '../dom'

// say tells in a live region what has been done; it goes by itself.
export function say(message: string): void {
  let region = document.querySelector('.toasts')
  if (!region) {
    region = h('div', { class: 'toasts', role: 'status', 'aria-live': 'polite' })
    document.body.append(region)
  }
  const toast = h('p', { class: 'toast' }, message)
  region.append(toast)
  window.setTimeout(() => toast.remove(), 6000)
}
