import { svg } from '../dom'

// sparkline draws values as bars, from nothing up to the greatest; the label says it in words.
export function sparkline(values: number[], label: string): SVGElement {
  const width = 4
  const height = 22
  const most = Math.max(...values, 0)
  return svg('svg', {
    class: 'sparkline', role: 'img', 'aria-label': label,
    viewBox: `0 0 ${values.length * width} ${height}`, preserveAspectRatio: 'none',
    width: values.length * width, height,
  },
  values.map((v, i) => {
    const tall = most > 0 && v > 0 ? Math.max(1, v / most * height) : 0
    return svg('rect', { x: i * width, y: height - tall, width: width - 1, height: tall })
  }))
}
