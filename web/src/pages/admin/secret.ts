import { h, type Child } from '../../dom'
import { date, days } from '../../time'
import { command, copyable } from '../../ui/figures'
import { kinds, type Credential } from './things'

// showSecret shows what a new key's secret is, the only time anybody sees it. Escape does not
// close it: it would be gone.
export function showSecret(made: Credential): Promise<void> {
  return new Promise((closed) => {
    const dialog = h('dialog', { 'aria-labelledby': 'secret-title', class: 'wide' },
      h('form', { method: 'dialog' },
        h('h2', { id: 'secret-title' }, `${kinds[made.kind]} made`),
        h('p', {}, h('strong', {}, 'This is the only time it is shown.'),
          ' Nobody can look it up later, neither here nor in the database: copy it now to where it will be used.'),
        h('p', { class: 'secret' }, copyable(made.secret ?? '', 'secret')),
        ...tryIt(made),
        h('div', { class: 'actions' }, h('button', { type: 'submit', class: 'primary' }, 'I have copied it'))))
    dialog.addEventListener('cancel', (e) => e.preventDefault())
    dialog.addEventListener('close', () => { dialog.remove(); closed() })
    document.body.append(dialog)
    dialog.showModal()
  })
}

function tryIt(made: Credential): Child[] {
  const at = location.origin
  const today = date(new Date(), 'UTC')
  switch (made.kind) {
    case 'agent_secret': return [h('p', { class: 'muted' }, 'Record a first event with it:'), command(
      `curl -i ${at}/v1/events -H 'Agent-Secret-Key: ${made.secret}' `
      + `--json '{"model":"gpt-4o-mini","usage":{"INPUT":1200,"OUTPUT":350}}'`)]
    case 'access_token':
    case 'app_password': return [h('p', { class: 'muted' }, 'Read what was used with it:'), command(
      `curl -s '${at}/v1/usage/query?granularity=day&from=${days(today, -6)}&to=${days(today, 1)}' `
      + `-H 'Authorization: Bearer ${made.secret}'`)]
    default: return []
  }
}
