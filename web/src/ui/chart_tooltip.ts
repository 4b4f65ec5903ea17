// The values of one bucket: beside the pointer, and by the arrow keys, which are also spoken.

import type uPlot from 'uplot'
import { h } from '../dom'
import { swatch, type Shown } from './chart'
import { bucketName, valueText } from './chart_numbers'

export interface Tooltip {
  spoken: HTMLElement
  moved(bucket: number | null): void
  drawn(): void // the picture was made anew
}

export function tooltipOf(shown: Shown, plotted: HTMLElement, plot: () => uPlot | undefined): Tooltip {
  const box = h('div', { class: 'tooltip', hidden: true, 'aria-hidden': 'true' })
  const spoken = h('p', { class: 'visually-hidden', 'aria-live': 'polite' })
  let at: number | null = null
  let walked: number | null = null // by keys: stays when the picture is drawn anew
  const moved = (bucket: number | null) => {
    at = bucket
    const u = plot()
    box.hidden = bucket === null || !u || shown.options.times[bucket] === undefined
    if (box.hidden || bucket === null || !u) return
    box.replaceChildren(...lines(shown, bucket))
    place(box, plotted, u, shown.options.times[bucket]!)
  }
  const step = (to: number) => {
    const last = shown.options.times.length - 1
    const bucket = Math.min(last, Math.max(0, to))
    if (last < 0) return
    walked = bucket
    moved(bucket)
    spoken.textContent = sentence(shown, bucket)
  }
  plotted.addEventListener('keydown', (e) => {
    const last = shown.options.times.length - 1
    const next: Record<string, number> = {
      ArrowLeft: (at ?? last + 1) - 1, ArrowRight: (at ?? -1) + 1, Home: 0, End: last,
    }
    if (e.key === 'Escape') { walked = null; moved(null); return }
    const to = next[e.key]
    if (to === undefined) return
    e.preventDefault()
    step(to)
  })
  plotted.addEventListener('blur', () => { walked = null; moved(null) })
  return {
    spoken,
    moved,
    drawn() { plotted.append(box); moved(walked) },
  }
}

function visible(shown: Shown, bucket: number): number[] {
  return shown.options.series.map((_, i) => i).filter((i) =>
    !shown.hidden.has(shown.options.series[i]!.label) && (shown.options.series[i]!.values[bucket] ?? 0) !== 0)
}

function lines(shown: Shown, bucket: number): HTMLElement[] {
  const o = shown.options
  const total = shown.hidden.size === 0 && o.total?.(bucket)
  return [
    h('p', { class: 'tooltip-time' }, bucketName(o, bucket)),
    h('table', {}, visible(shown, bucket).map((i) => h('tr', {},
      h('td', {}, swatch(o.series[i]!, i), o.series[i]!.label),
      h('td', { class: 'num' }, valueText(o, i, bucket)))),
    total ? h('tr', { class: 'sum' }, h('td', {}, 'Together'), h('td', { class: 'num' }, total)) : null),
  ]
}

function sentence(shown: Shown, bucket: number): string {
  const o = shown.options
  const values = visible(shown, bucket).map((i) => `${o.series[i]!.label}: ${valueText(o, i, bucket)}`)
  return `${bucketName(o, bucket)}. ${values.join('; ') || 'Nothing.'}`
}

function place(box: HTMLElement, plotted: HTMLElement, u: uPlot, time: number): void {
  const left = u.valToPos(time, 'x') + u.over.offsetLeft
  const width = box.offsetWidth
  const right = left + 24 + width <= plotted.clientWidth
  box.style.left = `${Math.max(0, right ? left + 24 : left - width - 12)}px`
  box.style.top = '8px'
}
