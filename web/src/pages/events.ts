import { openList } from './events/list'
import { openOne } from './events/one'
import type { Page } from '../page'

// Events: the list at #/events?…, one event at #/events/<id>.
export const events: Page = {
  title: 'Events',
  open(context) {
    const id = context.route.path[1]
    return id === undefined ? openList(context) : openOne(context, id)
  },
}
