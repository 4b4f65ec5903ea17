import { instant } from '../time'

// bucketFormat names the buckets of a granularity: "Sun, 22 Nov 2026, 14:00", "November 2026".
export function bucketFormat(granularity: string, zone: string): (time: number) => string {
  const day: Intl.DateTimeFormatOptions = { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' }
  const of = (options: Intl.DateTimeFormatOptions) => {
    const format = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: zone })
    return (time: number) => format.format(time * 1000)
  }
  switch (granularity) {
    case '15m':
    case 'hour': return of({ ...day, hour: '2-digit', minute: '2-digit' })
    case 'day': return of(day)
    case 'week': { const start = of(day); return (time) => `Week from ${start(time)}` }
    case 'month': return of({ month: 'long', year: 'numeric' })
  }
  return (time) => `From ${instant(new Date(time * 1000), zone)}`
}
