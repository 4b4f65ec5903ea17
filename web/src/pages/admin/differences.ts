export interface Difference { name: string; before: string; after: string }

// differences are the values that two states of a thing do not have in common, by name.
export function differences(
  before: Record<string, unknown> | null, after: Record<string, unknown> | null,
): Difference[] {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])]
  return names
    .map((name) => ({ name, before: word(before?.[name]), after: word(after?.[name]) }))
    .filter((d) => d.before !== d.after)
}

function word(value: unknown): string {
  if (value === undefined || value === null || value === '') return '–'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
