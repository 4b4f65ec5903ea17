// Charts over time, by uPlot. A chart is a picture with a sentence; its values can be walked
// through with the arrow keys and opened as a table, so that nobody depends on seeing it.

import type uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { h } from '../dom'
import { legendOf } from './chart_legend'
import { numbersOf } from './chart_numbers'
import { draw, colourClass } from './chart_plot'
import { tooltipOf } from './chart_tooltip'

export interface Series {
  label: string
  values: (number | null)[]
  colour?: number // which of the colours; the place in the list without it
}

export interface ChartOptions {
  label: string // what the picture shows, in a sentence
  times: number[] // seconds since 1970, ascending: the starts of the buckets
  series: Series[]
  stacked?: boolean
  format: (value: number) => string
  exact?: (series: number, bucket: number) => string // for the tooltip and the table; format's without
  end?: number // where the last bucket ends
  bucket?: (time: number) => string // names a bucket: "2026-11-22 14:00"
  zone?: string // of the axis; the browser's
  height?: number
  total?: (bucket: number) => string // of all series, where that means something
  marks?: number[] // instants to look at, in seconds; to be said beside the chart as well
}

export interface Chart { element: HTMLElement; update(o: ChartOptions): void; destroy(): void }

// The colours are told apart by people who see colours differently, in both themes: --series-1…8.
export const seriesColours = 8

// Shown is what the parts of a chart share.
export interface Shown {
  options: ChartOptions
  hidden: Set<string> // labels of series that are switched off
}

// chart draws, follows the width of its element and the theme, until destroy.
export function chart(o: ChartOptions): Chart {
  const shown: Shown = { options: o, hidden: new Set() }
  const plotted = h('div', { class: 'plot', tabindex: '0', role: 'group', 'aria-roledescription': 'chart' })
  plotted.style.minHeight = `${o.height ?? 260}px`
  let plot: uPlot | undefined
  const tooltip = tooltipOf(shown, plotted, () => plot)
  const redraw = () => {
    plot?.destroy()
    plotted.setAttribute('aria-label', `${shown.options.label} Arrow keys read the values.`)
    plot = draw(shown, plotted, tooltip.moved)
    tooltip.drawn()
  }
  const legend = legendOf(shown, redraw)
  const numbers = numbersOf(shown)
  const element = h('div', { class: 'chart' }, plotted, tooltip.spoken, legend.element, numbers.element)
  const resized = new ResizeObserver(() => {
    if (!plot) { redraw(); return }
    const width = Math.max(200, plotted.clientWidth)
    if (plot.width !== width) plot.setSize({ width, height: shown.options.height ?? 260 })
  })
  resized.observe(plotted)
  const themed = new MutationObserver(redraw)
  themed.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] })
  const scheme = matchMedia('(prefers-color-scheme: dark)')
  scheme.addEventListener('change', redraw)
  return {
    element,
    update(next) {
      shown.options = next
      legend.update()
      numbers.update()
      if (plot) redraw()
    },
    destroy() {
      resized.disconnect(); themed.disconnect(); scheme.removeEventListener('change', redraw)
      plot?.destroy()
    },
  }
}

// swatch is the colour of a series, for what stands beside its name.
export function swatch(s: Series, place: number): HTMLElement {
  return h('span', { class: `swatch ${colourClass(s, place)}`, 'aria-hidden': 'true' })
}
