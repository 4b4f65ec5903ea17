// Reporting at once, as the schedule does.

import { send, type Session } from '../../api'
import { h } from '../../dom'
import { instant } from '../../time'
import { ask } from '../../ui/dialog'
import { formDialog } from '../../ui/form_dialog'
import { pairs } from '../../ui/pairs'

interface Run { slots: number; sent: number; failed: number; ended: string; not_before?: string; detail?: string }

const endings: Record<string, string> = {
  done: 'Everything that could be told was.',
  limited: 'Stripe asked for fewer requests; the rest follows by itself.',
  unreachable: 'Stripe did not answer; it is tried again by itself.',
  halted: 'Stripe refused the key: set another STRIPE_API_KEY.',
  failed: 'The database did not answer; it is tried again by itself.',
}

// reportNow asks, makes a pass and says what came of it; true when one was made.
export async function reportNow(session: Session): Promise<boolean> {
  let run: Run | undefined
  const made = await formDialog({
    title: 'Report to Stripe now?',
    content: [h('p', {}, session.billing
      ? 'Every slot of every organization whose number changed is told to Stripe, as the schedule would do. It takes as long as Stripe does.'
      : 'This node has no key for Stripe: slots are counted, and nothing is sent.')],
    action: 'Report now',
    cancelFirst: true,
    submit: async () => { run = await send<Run>('POST', '/v1/report/run') },
  })
  if (!made || !run) return false
  await ask(run.ended === 'done' ? 'The pass has ended' : 'The pass ended early', [
    h('p', {}, endings[run.ended] ?? run.ended, run.detail ? ` (${run.detail})` : ''),
    pairs([
      ['Slots with something to tell', String(run.slots)],
      ['Told', String(run.sent)],
      ['Left for another pass', String(run.failed)],
      ['Stripe is called again', run.not_before ? instant(run.not_before) : null],
    ]),
  ], 'Close')
  return true
}
