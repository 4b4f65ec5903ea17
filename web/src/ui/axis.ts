// Numbers beside an axis: pixels, so that floats do.

const units: [number, string][] = [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']]

// axisQuantity writes 1500000 as 1.5 M.
export function axisQuantity(value: number): string {
  for (const [size, unit] of units) {
    if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(3))}\u202f${unit}`
  }
  return String(Number(value.toPrecision(3)))
}

// axisMoney writes 0.05 as $0.05.
export function axisMoney(value: number): string { return `$${axisQuantity(value)}` }
