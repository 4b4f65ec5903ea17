// Instants as people read them, in the zone of the browser unless another is given.

export const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone

const options: Intl.DateTimeFormatOptions = {
  year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit',
  hourCycle: 'h23',
}

// instant writes "2026-11-22 14:05" (with seconds ":07" where asked for).
export function instant(time: string | Date, zone = browserZone, seconds = false): string {
  const format = new Intl.DateTimeFormat('en-CA', {
    ...options, timeZone: zone, ...(seconds ? { second: '2-digit' } : {}),
  })
  return format.format(typeof time === 'string' ? new Date(time) : time).replace(', ', ' ')
}

// date writes the calendar day "2026-11-22" of an instant in a zone.
export function date(time: Date, zone = browserZone): string {
  return instant(time, zone).slice(0, 10)
}

// days moves a calendar day: days("2026-03-01", -1) is "2026-02-28".
export function days(day: string, by: number): string {
  const moved = new Date(`${day}T00:00:00Z`)
  moved.setUTCDate(moved.getUTCDate() + by)
  return moved.toISOString().slice(0, 10)
}

// ago says how long ago an instant was: "12 s ago".
export function ago(time: string | Date, now = new Date()): string {
  const then = typeof time === 'string' ? new Date(time) : time
  return `${duration((now.getTime() - then.getTime()) / 1000)} ago`
}

// duration writes seconds in their largest unit.
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds))
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.round(s / 60)} min`
  if (s < 172_800) return `${Math.round(s / 3600)} h`
  return `${Math.round(s / 86_400)} days`
}
