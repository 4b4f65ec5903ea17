import { h, type Child } from '../dom'

// ask opens a modal dialog with a form and resolves with what was entered, or null when it was
// left. The browser keeps the focus in it and gives it back.
export function ask(
  title: string, content: Child[], action: string, options: { danger?: boolean } = {},
): Promise<FormData | null> {
  return new Promise((resolve) => {
    const form = h('form', { method: 'dialog' },
      h('h2', { id: 'dialog-title' }, title),
      ...content.map((c) => c instanceof Node ? c : h('p', {}, c)),
      h('div', { class: 'actions' },
        h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'),
        h('button', { type: 'submit', class: options.danger ? 'danger' : 'primary' }, action)))
    const dialog = h('dialog', { 'aria-labelledby': 'dialog-title' }, form)
    let entered: FormData | null = null
    form.addEventListener('submit', () => { entered = new FormData(form) })
    dialog.addEventListener('close', () => { dialog.remove(); resolve(entered) })
    document.body.append(dialog)
    dialog.showModal()
  })
}
