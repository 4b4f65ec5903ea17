// What the list of events is asked for, in the URL.

export interface Question { agent: string; user: string; model: string; from: string; to: string }

const names = { agent: 'agent_id', user: 'user_id', model: 'model', from: 'from', to: 'to' } as const

// questionOf reads a URL's parameters; what is absent is not asked for.
export function questionOf(p: URLSearchParams): Question {
  const of = (name: keyof Question) => (p.get(names[name]) ?? '').trim().slice(0, 256)
  return { agent: of('agent'), user: of('user'), model: of('model'), from: of('from'), to: of('to') }
}

// parametersOf writes what questionOf reads.
export function parametersOf(q: Question): URLSearchParams {
  const p = new URLSearchParams()
  for (const [member, name] of Object.entries(names)) {
    const value = q[member as keyof Question].trim()
    if (value !== '') p.set(name, value)
  }
  return p
}
