// An event's history: each revision with what it changed, by whom, when and why.

import { h, type Child } from '../../dom'
import { instant } from '../../time'
import { badge } from '../../ui/figures'
import type { Who } from '../who'
import { differences, labelOf, type Change, type Revision } from './event'

// timeline lists the revisions, the newest first.
export function timeline(revisions: Revision[], who: Who): HTMLElement {
  const entries: HTMLElement[] = []
  for (const [i, r] of revisions.entries()) entries.unshift(entry(r, revisions[i - 1], who))
  const last = revisions[revisions.length - 1]!
  if (last.state === 'voided') entries.unshift(voidEntry(last, who))
  return h('section', { class: 'card' },
    h('h2', {}, 'History'),
    h('ol', { class: 'timeline', reversed: true }, entries))
}

function entry(r: Revision, before: Revision | undefined, who: Who): HTMLElement {
  const first = r.revision === 0
  return h('li', {},
    h('p', {}, h('strong', {}, first ? 'Recorded' : `Revision ${r.revision}`), ' ', stateBadge(r),
      h('span', { class: 'muted', title: r.recorded_at }, ` ${instant(r.recorded_at, undefined, true)}`),
      r.corrected_by !== undefined && h('span', {}, ' by ', who.actorText(r.corrected_by))),
    r.reason !== undefined && h('p', { class: 'reason' }, '“', r.reason, '”'),
    before && changeList(differences(before, r), who))
}

function voidEntry(r: Revision, who: Who): HTMLElement {
  return h('li', {},
    h('p', {}, h('strong', {}, 'Voided'), ' ',
      h('span', { class: 'muted', title: r.voided_at }, instant(r.voided_at ?? r.recorded_at, undefined,
        true)),
      h('span', {}, ' by ', who.actorText(r.voided_by))),
    r.voided_reason !== undefined && h('p', { class: 'reason' }, '“', r.voided_reason, '”'))
}

function stateBadge(r: Revision): HTMLElement {
  switch (r.state) {
    case 'current': return badge('counts now', 'good')
    case 'voided': return badge('voided', 'bad')
    default: return badge('replaced')
  }
}

// changeList shows each member as it was and as it is.
export function changeList(changes: Change[], who: Who): HTMLElement {
  if (changes.length === 0) return h('p', { class: 'muted' }, 'Nothing that is shown here changed.')
  return h('ul', { class: 'changes' }, changes.map((c) => h('li', {},
    h('span', { class: 'member' }, labelOf(c.member)), ' ',
    h('del', {}, shown(c.member, c.before, who)), ' ',
    h('span', { 'aria-hidden': 'true' }, '→'), h('span', { class: 'visually-hidden' }, 'became'), ' ',
    h('ins', {}, shown(c.member, c.after, who)))))
}

function shown(member: string, value: string | null, who: Who): Child {
  if (value === null) return 'none'
  if (member === 'agent_id') return who.agent(value) ?? value
  if (member === 'user_id') return who.user(value) ?? value
  return member === 'billed' ? `${value} USD` : value
}
