// The picture of a chart: what uPlot is told.

import uPlot from 'uplot'
import { seriesColours, type ChartOptions, type Series, type Shown } from './chart'

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}

function colourOf(s: Series, place: number): number {
  return (s.colour ?? place) % seriesColours + 1
}

// colourClass is the class of the colour that a series is drawn in.
export function colourClass(s: Series, place: number): string { return `series-${colourOf(s, place)}` }

// draw makes the picture of what is shown; moved hears which bucket the pointer is at.
export function draw(shown: Shown, into: HTMLElement, moved: (bucket: number | null) => void): uPlot {
  const { options: o, hidden } = shown
  const visible = o.series.map((s, place) => ({ s, place })).filter(({ s }) => !hidden.has(s.label))
  if (o.stacked) visible.reverse() // uPlot draws the tallest first
  const values = o.stacked
    ? stack(visible.map(({ s }) => s).reverse()).reverse()
    : visible.map(({ s }) => s.values)
  const plot = plotOptions(o, Math.max(200, into.clientWidth))
  const bars = o.stacked ? uPlot.paths.bars!({ size: [0.85, 64], gap: 1, align: 1 }) : undefined
  for (const { s, place } of visible) {
    const colour = token(`--series-${colourOf(s, place)}`)
    plot.series.push({
      label: s.label, stroke: colour, width: o.stacked ? 0 : 2,
      points: { show: !o.stacked && o.times.length < 2 },
      ...(o.stacked ? { fill: colour, paths: bars! } : {}),
    })
  }
  plot.hooks = { setCursor: [(u) => moved(u.cursor.idx ?? null)], draw: [(u) => markAll(u, o)] }
  const made = new uPlot(plot, [o.times, ...values] as uPlot.AlignedData, into)
  made.root.setAttribute('aria-hidden', 'true')
  return made
}

// markAll draws a dashed line with a triangle on top where something is to be looked at.
function markAll(u: uPlot, o: ChartOptions): void {
  const { ctx, bbox } = u
  ctx.save()
  ctx.strokeStyle = ctx.fillStyle = token('--bad')
  ctx.setLineDash([4, 4])
  const size = 6 * devicePixelRatio
  for (const time of o.marks ?? []) {
    const x = u.valToPos(time, 'x', true)
    if (x < bbox.left || x > bbox.left + bbox.width) continue
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
    ctx.beginPath()
    ctx.moveTo(x - size, bbox.top)
    ctx.lineTo(x + size, bbox.top)
    ctx.lineTo(x, bbox.top + size * 1.5)
    ctx.fill()
  }
  ctx.restore()
}

// stack adds each series to those below it.
export function stack(series: Series[]): (number | null)[][] {
  const sums: (number | null)[][] = []
  for (const [n, s] of series.entries()) {
    const below = sums[n - 1]
    sums.push(s.values.map((v, i) => (v ?? 0) + (below?.[i] ?? 0)))
  }
  return sums
}

function plotOptions(o: ChartOptions, width: number): uPlot.Options {
  const muted = token('--muted')
  const grid = { stroke: token('--line'), width: 1 }
  const font = '12px system-ui, sans-serif'
  const options: uPlot.Options = {
    width,
    height: o.height ?? 260,
    legend: { show: false },
    padding: [8, 24, 0, 0],
    cursor: {
      drag: { x: false, y: false }, points: { show: !o.stacked }, y: false,
      ...(o.stacked ? { dataIdx: (u, _, nearest) => bucketAt(u, nearest) } : {}),
    },
    scales: {
      x: { time: true, range: (_, min, max) => [min, o.end ?? max] },
      y: { range: (_, __, max) => [0, max > 0 ? max * 1.05 : 1] },
    },
    axes: [
      { stroke: muted, grid: { show: false }, ticks: grid, font, space: 64, size: 34, values: timeTicks(o.zone) },
      {
        stroke: muted, grid, ticks: { show: false }, font, size: 64,
        values: (_, ticks) => ticks.map((v, i) => i === 0 && v === 0 ? '0' : o.format(v)),
      },
    ],
    series: [{}],
  }
  if (o.zone) options.tzDate = (s) => uPlot.tzDate(new Date(s * 1000), o.zone!)
  return options
}

// bucketAt is the bar under the pointer: bars stand to the right of their time.
function bucketAt(u: uPlot, nearest: number): number {
  const at = u.posToVal(u.cursor.left ?? 0, 'x')
  const times = u.data[0]
  return nearest > 0 && times[nearest]! > at ? nearest - 1 : nearest
}

const day = 86_400

// timeTicks names the ticks of the axis: hours by the clock of 24, midnights and days by the date.
function timeTicks(zone: string | undefined): (u: uPlot, ticks: number[], a: number, b: number, step: number) => string[] {
  const timeZone = zone ? { timeZone: zone } : {}
  const clock = new Intl.DateTimeFormat('en-GB', { ...timeZone, hour: '2-digit', minute: '2-digit' })
  const seconds = new Intl.DateTimeFormat('en-GB', { ...timeZone, hour: '2-digit', minute: '2-digit', second: '2-digit' })
  const date = new Intl.DateTimeFormat('en-GB', { ...timeZone, day: 'numeric', month: 'short' })
  const month = new Intl.DateTimeFormat('en-GB', { ...timeZone, month: 'short', year: 'numeric' })
  return (_, ticks, __, ___, step) => ticks.map((s) => {
    const at = new Date(s * 1000)
    if (step >= 28 * day) return month.format(at)
    if (step < 60) return seconds.format(at)
    const time = step < day ? clock.format(at) : '00:00'
    return time === '00:00' ? date.format(at) : time
  })
}
