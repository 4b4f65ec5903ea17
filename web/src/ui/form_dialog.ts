import { Failed, type Fault } from '../api'
import { h, render, type Child } from '../dom'

export interface FormDialog {
  title: string
  content: Child[]
  action: string
  danger?: boolean
  cancelFirst?: boolean // Enter does nothing by accident: the focus is on Cancel
  wide?: boolean
  // submit does it. What it throws is shown and the dialog stays, with what was entered.
  submit(data: FormData): Promise<void>
  // explain may show a failure in its own way; undefined leaves it to the dialog.
  explain?(error: Failed): Promise<Child[] | undefined>
}

// formDialog opens a modal dialog and resolves when it is gone: true when it did what it is for.
export function formDialog(o: FormDialog): Promise<boolean> {
  return new Promise((resolve) => {
    let did = false
    const problem = h('div', { class: 'dialog-problem', role: 'alert' })
    const cancel = h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel')
    const act = h('button', { type: 'submit', class: o.danger ? 'danger' : 'primary' }, o.action)
    const form = h('form', {},
      h('h2', { id: 'dialog-title' }, o.title), ...o.content, problem,
      h('div', { class: 'actions' }, cancel, act))
    const dialog = h('dialog', { 'aria-labelledby': 'dialog-title', class: o.wide ? 'wide' : undefined },
      form)
    form.addEventListener('submit', (e) => { e.preventDefault(); void submit() })
    const submit = async () => {
      act.disabled = true
      render(problem)
      clearFaults(form)
      try {
        await o.submit(new FormData(form))
        did = true
        dialog.close()
      } catch (error) {
        await show(error)
      } finally {
        act.disabled = false
      }
    }
    const show = async (error: unknown) => {
      const e = error instanceof Failed ? error : new Failed(-1,
        'The console failed; nothing was sent twice.')
      if (!(error instanceof Failed)) console.error(error)
      const own = await o.explain?.(e)
      if (own) { render(problem, own); return }
      const rest = placeFaults(form, e.faults)
      render(problem, h('p', { class: 'field-error' }, rest.length > 0 || e.faults.length === 0 ? e.message
        : 'Something here cannot be taken; it says so where it is.'))
    }
    dialog.addEventListener('close', () => { dialog.remove(); resolve(did) })
    document.body.append(dialog)
    dialog.showModal()
    if (o.cancelFirst) cancel.focus()
  })
}

// placeFaults puts each fault under the field it names (its name, or data-field), and returns
// those that have none here.
export function placeFaults(form: HTMLElement, faults: Fault[]): Fault[] {
  const rest: Fault[] = []
  let first: HTMLElement | undefined
  for (const [n, fault] of faults.entries()) {
    const name = CSS.escape(fault.field ?? '')
    const field = name === '' ? null : form.querySelector<HTMLElement>(`[data-field="${name}"], [name="${name}"]`)
    if (!field) { rest.push(fault); continue }
    const id = `fault-${n}`
    field.setAttribute('aria-invalid', 'true')
    field.setAttribute('aria-describedby', id)
    const note = h('p', { class: 'field-error', id }, fault.message)
    const place = field.closest('.field') ?? field
    place.append(note)
    first ??= field
  }
  first?.focus()
  return rest
}

function clearFaults(form: HTMLElement): void {
  for (const note of form.querySelectorAll('.field-error[id^="fault-"]')) note.remove()
  for (const field of form.querySelectorAll('[aria-invalid]')) {
    field.removeAttribute('aria-invalid')
    field.removeAttribute('aria-describedby')
  }
}
