// The numbers behind a chart, as a table that is made when it is opened.

import { h } from '../dom'
import { instant } from '../time'
import type { ChartOptions, Shown } from './chart'
import { table } from './table'

const rowsMax = 200

export interface Numbers { element: HTMLElement; update(): void }

export function numbersOf(shown: Shown): Numbers {
  const place = h('div')
  const element = h('details', { class: 'numbers', ontoggle: () => update() }, h('summary', {}, 'Show numbers'), place)
  let before: ChartOptions | undefined
  const update = () => {
    if (!element.open || before === shown.options) return
    before = shown.options
    place.replaceChildren(tableOf(before))
  }
  return { element, update }
}

// bucketName is how a chart calls a bucket.
export function bucketName(o: ChartOptions, bucket: number): string {
  const time = o.times[bucket] ?? 0
  return o.bucket ? o.bucket(time) : instant(new Date(time * 1000), o.zone)
}

// valueText is a value with all its digits, or "–" where there is none.
export function valueText(o: ChartOptions, series: number, bucket: number): string {
  const value = o.series[series]?.values[bucket]
  if (value === null || value === undefined) return '–'
  return o.exact ? o.exact(series, bucket) : o.format(value)
}

function tableOf(o: ChartOptions): HTMLElement {
  const newest = o.times.map((_, i) => i).reverse().slice(0, rowsMax)
  const left = o.times.length - newest.length
  return h('div', {},
    left > 0 && h('p', { class: 'hint' }, `The newest ${rowsMax} of ${o.times.length}.`),
    table(o.label, [
      { name: 'Time', cell: (i: number) => bucketName(o, i) },
      ...o.series.map((s, n) => ({ name: s.label, numeric: true, cell: (i: number) => valueText(o, n, i) })),
    ], newest))
}
