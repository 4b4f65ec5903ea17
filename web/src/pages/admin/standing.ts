import { decimal, text } from '../../decimal'
import type { Rate } from './things'

export type Standing = 'in force' | 'to come' | 'replaced'

// inOrder sorts rates by model, usage type and time, the newest first, and says of each whether it
// holds now: until is when the next one of the same model and usage type takes its place.
export function inOrder(
  rates: Rate[], now: number,
): (Rate & { standing: Standing; until: string | undefined })[] {
  const sorted = [...rates].sort((a, b) => a.model.localeCompare(b.model)
    || a.usage_type.localeCompare(b.usage_type) || Date.parse(b.from) - Date.parse(a.from))
  return sorted.map((rate, i) => {
    const newer = sorted[i - 1]
    const until = newer?.model === rate.model && newer.usage_type === rate.usage_type ? newer.from : undefined
    const standing = Date.parse(rate.from) > now ? 'to come'
      : until !== undefined && Date.parse(until) <= now ? 'replaced' : 'in force'
    return { ...rate, standing, until }
  })
}

// margin is what is billed over what it costs, in percent of the cost.
export function margin(provider: string, billed: string): string {
  const cost = decimal(provider)
  if (cost === 0n) return '–'
  const tenths = (decimal(billed) - cost) * 1000n / cost // a tenth of a percent
  const shown = text(tenths * 10n ** 11n, tenths % 10n === 0n ? 0 : 1)
  return `${tenths > 0n ? '+' : ''}${shown} %`
}

// cents gives a price at least two decimals, and leaves the rest as it is.
export function cents(price: string): string {
  const [whole, fraction = ''] = price.split('.')
  return `${whole}.${fraction.padEnd(2, '0')}`
}
