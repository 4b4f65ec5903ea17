import { Failed, request, type Session } from '../api'
import { h, render } from '../dom'

// signIn is the page that asks for a credential. It goes to the server once and is kept nowhere
// in the browser: the cookie that comes back cannot be read by scripts.
export function signIn(entered: (s: Session) => void): HTMLElement {
  const problem = h('p', { class: 'field-error', role: 'alert', id: 'signin-problem' })
  const credential = h('input', {
    id: 'credential', name: 'credential', type: 'password', autocomplete: 'current-password',
    required: true, spellcheck: 'false', 'aria-describedby': 'credential-hint signin-problem',
  })
  const organization = h('input', {
    id: 'organization', name: 'organization_id', autocomplete: 'organization', spellcheck: 'false',
  })
  const button = h('button', { type: 'submit', class: 'primary' }, 'Sign in')
  const submit = async (e: Event) => {
    e.preventDefault()
    render(problem)
    button.disabled = true
    const body: Record<string, string> = { credential: credential.value.trim() }
    if (organization.value.trim() !== '') body['organization_id'] = organization.value.trim()
    try {
      const response = await request('/console/session', { method: 'POST', body })
      credential.value = ''
      entered(await response.json() as Session)
    } catch (error) {
      render(problem, error instanceof Failed ? sentence(error) : 'The console failed; try again.')
      credential.focus()
    } finally {
      button.disabled = false
    }
  }
  return h('main', { class: 'signin' },
    h('form', { onsubmit: submit, 'aria-labelledby': 'signin-title' },
      h('img', { src: '/favicon.svg', alt: '', width: '40', height: '40' }),
      h('h1', { id: 'signin-title' }, 'Meterhouse'),
      h('label', { for: 'credential' }, 'Credential'),
      credential,
      h('p', { class: 'hint', id: 'credential-hint' },
        'An access token, an app password, a JWT, an agent’s secret or a login token.'),
      problem,
      h('details', {},
        h('summary', {}, 'A token for several organizations?'),
        h('label', { for: 'organization' }, 'Organization id'), organization),
      button))
}

function sentence(e: Failed): string {
  if (e.status === 401) return 'Nobody has this credential, or it has expired.'
  if (e.status === 429) return `Too many tries. Wait ${e.retryAfter || 60} seconds.`
  return e.message
}
