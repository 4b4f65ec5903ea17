// Voiding: the dialog says what will happen, and does it only to the revision that was looked at.

import { get, send, type Failed } from '../../api'
import { usd } from '../../decimal'
import { h, type Child } from '../../dom'
import { instant } from '../../time'
import { formDialog } from '../../ui/form_dialog'
import type { Who } from '../who'
import { billed, type EventHistory, type Revision } from './event'

// reasonField asks why. It goes on record, so that it is asked for though the API does without.
export function reasonField(): HTMLElement {
  return h('div', { class: 'field' },
    h('label', { for: 'reason' }, 'Reason, for the record'),
    h('input', { id: 'reason', name: 'reason', 'data-field': 'reason', required: true, maxlength: 256,
      autocomplete: 'off' }))
}

export function pathOf(e: Revision, reason: string): string {
  return `/v1/events/${encodeURIComponent(e.id)}?${new URLSearchParams({ reason })}`
}

// voidEvent asks and voids; true when it is done. `look` shows the event as it is now.
export function voidEvent(e: Revision, who: Who, look: () => Promise<void>): Promise<boolean> {
  return formDialog({
    title: 'Void this event?',
    content: [
      h('p', {}, 'Its usage and its cost of ', h('strong', {}, usd(billed(e))),
        ' are taken back from every sum, and from what is reported to Stripe while that can still change. ',
        'The event and who voided it stay in the history. It cannot be brought back.'),
      reasonField(),
    ],
    action: 'Void the event',
    danger: true,
    cancelFirst: true,
    submit: (data) => send('DELETE', pathOf(e, String(data.get('reason')).trim()), undefined, ifMatch(e)),
    explain: (error) => meanwhile(error, e, who, look),
  })
}

export function ifMatch(e: Revision): Record<string, string> {
  return { 'If-Match': `"${e.revision}"` }
}

// meanwhile explains a 412: who changed the event while the dialog was open.
export async function meanwhile(
  error: Failed, e: Revision, who: Who, look: () => Promise<void>,
): Promise<Child[] | undefined> {
  const gone = error.status === 404
  if (error.status !== 412 && !gone) return undefined
  const again = h('button', {
    type: 'button',
    onclick: () => { again.closest('dialog')?.close(); void look() },
  }, 'Look again')
  let by: Child[] = []
  try {
    const all = await get<EventHistory>(`/v1/events/${encodeURIComponent(e.id)}/history`)
    const last = all.revisions[all.revisions.length - 1]!
    const name = last.voided_by ?? last.corrected_by
    by = [' by ', who.actorText(name), ' at ', instant(last.voided_at ?? last.recorded_at, undefined, true)]
  } catch { /* who it was is not known; that it was is */ }
  return [h('p', { class: 'field-error' }, gone ? 'Voided meanwhile' : 'Changed meanwhile', ...by,
    '; look again. Nothing of this was done.'), again]
}
