// What a form of an event says, as the merge patch that makes it so.

import { members, type Member, type Revision } from './event'

// Draft is what the form holds: texts as entered, "" for none.
export interface Draft {
  usage: [type: string, quantity: string][]
  texts: Record<Member, string>
  agent: string
  user: string
  chargeable: boolean
  cost: string
}

export interface Patch {
  usage?: Record<string, string | null>
  agent_id?: string | null
  user_id?: string | null
  chargeable?: boolean
  cost_usd?: string | null
  [member: string]: unknown
}

// draftOf is a form that changes nothing.
export function draftOf(e: Revision): Draft {
  return {
    usage: Object.entries(e.usage).sort(([a], [b]) => a < b ? -1 : 1),
    texts: Object.fromEntries(members.map((m) => [m, e[m] ?? ''])) as Record<Member, string>,
    agent: e.agent_id ?? '',
    user: e.user_id ?? '',
    chargeable: e.chargeable,
    cost: e.cost_usd ?? '',
  }
}

// patchOf has only what differs; an emptied member is null, which removes it.
export function patchOf(e: Revision, d: Draft): Patch {
  const patch: Patch = {}
  const usage: Record<string, string | null> = {}
  const entered = new Map(d.usage.map(([type, quantity]) => [type.trim(), quantity.trim()]))
  entered.delete('')
  for (const [type, quantity] of entered) {
    if (quantity === '') { if (type in e.usage) usage[type] = null } else if (e.usage[type] !== quantity) usage[type] = quantity
  }
  for (const type of Object.keys(e.usage)) if (!entered.has(type)) usage[type] = null
  if (Object.keys(usage).length > 0) patch.usage = usage
  const note = (member: string, before: string | undefined, after: string) => {
    if ((before ?? '') !== after.trim()) patch[member] = after.trim() === '' ? null : after.trim()
  }
  for (const m of members) note(m, e[m], d.texts[m])
  note('agent_id', e.agent_id, d.agent)
  note('user_id', e.user_id, d.user)
  note('cost_usd', e.cost_usd, d.cost)
  if (d.chargeable !== e.chargeable) patch.chargeable = d.chargeable
  return patch
}

export interface Edit { member: string; before: string | null; after: string | null }

// editsOf lists what a patch changes, as it was and as it will be.
export function editsOf(e: Revision, patch: Patch): Edit[] {
  const edits: Edit[] = []
  for (const [member, value] of Object.entries(patch)) {
    if (member === 'usage') {
      for (const [type, quantity] of Object.entries(patch.usage ?? {})) {
        edits.push({ member: `usage.${type}`, before: e.usage[type] ?? null, after: quantity })
      }
    } else if (member === 'chargeable') {
      edits.push({ member, before: e.chargeable ? 'yes' : 'no', after: value === true ? 'yes' : 'no' })
    } else {
      const before = (e as unknown as Record<string, string | undefined>)[member] ?? null
      edits.push({ member, before, after: value as string | null })
    }
  }
  return edits
}
