// Quantities and money are decimals in strings; they are added and shown exactly. Only what ends as
// pixels becomes a number.

const scale = 12
const one = 10n ** BigInt(scale)

// Decimal is an integer count of 10^-12.
export type Decimal = bigint

export const zero: Decimal = 0n

// decimal reads "-12.345"; what is none is an error, never a silent 0.
export function decimal(text: string): Decimal {
  const match = /^(-?)(\d+)(?:\.(\d{1,12}))?$/.exec(text)
  if (!match) throw new Error(`not a decimal: ${text}`)
  const whole = BigInt(match[2]!) * one + BigInt((match[3] ?? '').padEnd(scale, '0'))
  return match[1] === '-' ? -whole : whole
}

// sum adds decimals of strings; null counts as nothing.
export function sum(texts: Iterable<string | null | undefined>): Decimal {
  let total = zero
  for (const text of texts) if (text) total += decimal(text)
  return total
}

// number is for pixels and axes alone.
export function number(d: Decimal): number { return Number(d) / Number(one) }

// text writes a decimal with groups of thousands and `digits` decimals, half to even; without
// digits all it has.
export function text(d: Decimal, digits?: number): string {
  const negative = d < 0n
  let magnitude = negative ? -d : d
  if (digits !== undefined) magnitude = round(magnitude, digits)
  const whole = (magnitude / one).toString().replace(/\B(?=(\d{3})+$)/g, '\u202f')
  let fraction = (magnitude % one).toString().padStart(scale, '0')
  fraction = digits === undefined ? fraction.replace(/0+$/, '') : fraction.slice(0, digits)
  const sign = negative && magnitude !== 0n ? '−' : ''
  return sign + whole + (fraction === '' ? '' : `.${fraction}`)
}

function round(magnitude: bigint, digits: number): bigint {
  const unit = 10n ** BigInt(scale - digits)
  const rest = magnitude % unit
  const down = magnitude - rest
  const twice = rest * 2n
  const up = twice > unit || twice === unit && (down / unit) % 2n === 1n
  return up ? down + unit : down
}

// usd writes dollars: cents from a dollar on, more below, so that small costs are not shown as 0.
export function usd(d: Decimal): string {
  const magnitude = d < 0n ? -d : d
  const digits = magnitude === 0n || magnitude >= one ? 2 : magnitude >= one / 100n ? 4 : 8
  const shown = text(d, digits)
  const trimmed = digits > 2 ? shown.replace(/(\.\d\d\d*?)0+$/, '$1') : shown
  return trimmed.startsWith('−') ? `−$${trimmed.slice(1)}` : `$${trimmed}`
}

const steps: [bigint, string][] = [[10n ** 12n, 'T'], [10n ** 9n, 'G'], [10n ** 6n, 'M'], [10n ** 3n, 'k']]

// short writes three digits and a unit: 1.23 M. The exact value belongs in a title beside it.
export function short(d: Decimal): string {
  const magnitude = d < 0n ? -d : d
  for (const [size, unit] of steps) {
    if (magnitude < size * one) continue
    const scaled = magnitude / size
    const digits = scaled >= 100n * one ? 0 : scaled >= 10n * one ? 1 : 2
    return (d < 0n ? '−' : '') + text(scaled, digits) + '\u202f' + unit
  }
  return text(d, magnitude >= 100n * one || magnitude % one === 0n ? 0 : 2)
}
