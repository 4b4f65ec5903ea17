import { openBilling } from './billing/overview'
import { openSlot } from './billing/slot'
import type { Page } from '../page'

// Billing: the estimate and the slots at #/billing, what is behind a slot's number at
// #/billing/<organization>/<meter>/<hour>.
export const billing: Page = {
  title: 'Billing',
  open(context) {
    const [, organization, meter, hour] = context.route.path
    return organization !== undefined && meter !== undefined && hour !== undefined
      ? openSlot(context, { organization, meter, hour }) : openBilling(context)
  },
}
