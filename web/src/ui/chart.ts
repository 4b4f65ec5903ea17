// Charts over time, by uPlot. A chart is a picture with a sentence; the numbers are in a table that
// every chart can open, so that nobody depends on seeing it.

import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { h } from '../dom'

export interface Series { label: string; values: (number | null)[] }

export interface ChartOptions {
  label: string // what the picture shows, in a sentence
  times: number[] // seconds since 1970, ascending: the starts of the buckets
  series: Series[]
  stacked?: boolean
  format: (value: number) => string
  zone?: string // of the axis; the browser's
  height?: number
}

export interface Chart { element: HTMLElement; update(o: ChartOptions): void; destroy(): void }

// The colours are told apart by people who see colours differently, in both themes: --series-1…8.
export const seriesColours = 8

// colour returns the colour of the n-th series as the stylesheet has it now.
export function colour(n: number): string {
  return token(`--series-${n % seriesColours + 1}`)
}

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}

// chart draws, follows the width of its element and the theme, until destroy.
export function chart(o: ChartOptions): Chart {
  const plotted = h('div', { class: 'plot', role: 'img', 'aria-label': o.label })
  const legend = h('ul', { class: 'legend' })
  const element = h('div', { class: 'chart' }, plotted, legend)
  let options = o
  let plot: uPlot | undefined
  const draw = () => {
    plot?.destroy()
    plotted.setAttribute('aria-label', options.label)
    const width = Math.max(200, plotted.clientWidth)
    plot = new uPlot(plotOptions(options, width), plotData(options), plotted)
    legend.replaceChildren(...options.series.map((s, i) => h('li', {},
      h('span', { class: `swatch series-${i % seriesColours + 1}`, 'aria-hidden': 'true' }), s.label)))
  }
  const resized = new ResizeObserver(() => {
    if (!plot) { draw(); return }
    plot.setSize({ width: Math.max(200, plotted.clientWidth), height: options.height ?? 260 })
  })
  resized.observe(plotted)
  const themed = new MutationObserver(draw)
  themed.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] })
  const scheme = matchMedia('(prefers-color-scheme: dark)')
  scheme.addEventListener('change', draw)
  return {
    element,
    update(next) { options = next; if (plot) draw() },
    destroy() {
      resized.disconnect(); themed.disconnect(); scheme.removeEventListener('change', draw)
      plot?.destroy()
    },
  }
}

// stack adds each series to those below it; uPlot draws the tallest first.
export function stack(series: Series[]): (number | null)[][] {
  const sums: (number | null)[][] = []
  for (const [n, s] of series.entries()) {
    const below = sums[n - 1]
    sums.push(s.values.map((v, i) => (v ?? 0) + (below?.[i] ?? 0)))
  }
  return sums
}

function plotData(o: ChartOptions): uPlot.AlignedData {
  const values = o.stacked ? stack(o.series).reverse() : o.series.map((s) => s.values)
  return [o.times, ...values] as uPlot.AlignedData
}

function plotOptions(o: ChartOptions, width: number): uPlot.Options {
  const muted = token('--muted')
  const grid = { stroke: token('--line'), width: 1 }
  const font = '12px system-ui, sans-serif'
  const order = o.series.map((_, i) => o.stacked ? o.series.length - 1 - i : i)
  const bars = o.stacked ? uPlot.paths.bars!({ size: [0.8, 64], gap: 1 }) : undefined
  const options: uPlot.Options = {
    width,
    height: o.height ?? 260,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: { x: { time: true }, y: { range: (_, __, max) => [0, max > 0 ? max * 1.05 : 1] } },
    axes: [
      { stroke: muted, grid: { show: false }, ticks: grid, font },
      { stroke: muted, grid, ticks: { show: false }, font, size: 68, values: (_, ticks) => ticks.map(o.format) },
    ],
    series: [{}, ...order.map((i): uPlot.Series => ({
      label: o.series[i]!.label,
      stroke: colour(i),
      width: o.stacked ? 0 : 2,
      points: { show: !o.stacked && o.times.length < 2 },
      ...(o.stacked ? { fill: colour(i), paths: bars! } : {}),
    }))],
  }
  if (o.zone) options.tzDate = (s) => uPlot.tzDate(new Date(s * 1000), o.zone!)
  return options
}
