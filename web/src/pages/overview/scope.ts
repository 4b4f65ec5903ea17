// What the overview is about: its range, zone and organization, and the questions they make.

import { usage, type Session, type UsageAnswer } from '../../api'
import { organizationOf, organizationParameter } from '../../organization'
import { ends, granularityOf, question, rangeOf, writeRange, zoneOf, type Parameters } from '../../question'
import { browserZone } from '../../time'
import type { RangeChoice } from '../../ui/range'

export interface Scope extends RangeChoice {
  session: Session
  organization: string
  signal: AbortSignal
}

export function scopeOf(session: Session, p: URLSearchParams, signal: AbortSignal): Scope {
  return {
    session, signal, range: rangeOf(p, '7d'), zone: zoneOf(p, browserZone),
    organization: organizationOf(session, p),
  }
}

// parametersOf are the URL's.
export function parametersOf(s: Scope): URLSearchParams {
  const p = new URLSearchParams()
  writeRange(p, s.range)
  if (s.zone !== browserZone) p.set('tz', s.zone)
  if (s.organization !== '') p.set(organizationParameter, s.organization)
  return p
}

// inOrganization is an address within the console that keeps the choice of an organization.
export function inOrganization(s: Scope, href: string): string {
  return s.organization === '' ? href : `${href}?${organizationParameter}=${encodeURIComponent(s.organization)}`
}

// ask asks about the range.
export function ask(s: Scope, more: Parameters): Promise<UsageAnswer> {
  return usage({
    ...ends(s.range, s.zone, new Date()), tz: s.zone, organization_id: s.organization, ...more,
  }, s.signal)
}

export function granularity(s: Scope): string {
  return granularityOf({ ...question(s.zone), range: s.range }, new Date())
}
