import type { Ingest } from './status'

export interface Sample { at: number; totals: Ingest } // at: seconds

export interface Rates { at: number; rates: Ingest } // a second, since the sample before

const keptSeconds = 600

// add takes a sample behind the others and forgets the old ones. Totals that fell are those of a
// node that was started again: what was before them is no start of a rate.
export function add(samples: Sample[], sample: Sample): Sample[] {
  const last = samples.at(-1)
  if (last && sample.at <= last.at) return samples
  if (last && sample.totals.accepted < last.totals.accepted) return [sample]
  return [...samples.filter((s) => sample.at - s.at <= keptSeconds), sample]
}

// rates are those between each two samples.
export function rates(samples: Sample[]): Rates[] {
  return samples.slice(1).map((s, i) => {
    const before = samples[i]!
    const took = s.at - before.at
    const of = (name: keyof Ingest) => Math.max(0, (s.totals[name] - before.totals[name]) / took)
    return {
      at: s.at,
      rates: {
        accepted: of('accepted'), duplicates: of('duplicates'),
        rejected: of('rejected'), refused: of('refused'),
      },
    }
  })
}

// recent is a rate over the last seconds, calmer than between two samples alone.
export function recent(samples: Sample[], name: keyof Ingest, over = 10): number | undefined {
  const last = samples.at(-1)
  if (!last) return undefined
  const first = samples.find((s) => last.at - s.at <= over)
  if (!first || first === last) return undefined
  return Math.max(0, (last.totals[name] - first.totals[name]) / (last.at - first.at))
}

// perSecond writes a rate.
export function perSecond(rate: number | undefined): string {
  if (rate === undefined) return '–'
  const shown = rate === 0 || rate >= 100 ? Math.round(rate) : Number(rate.toFixed(1))
  return `${shown.toLocaleString('en-US').replaceAll(',', '\u202f')} /s`
}
