// Routes live behind the hash, so that none collides with the paths of the wire APIs, and the URL
// is the question: #/explore?from=…&group_by=model.

export interface Route {
  path: string[] // decoded segments
  parameters: URLSearchParams
}

// parse reads a hash; what is none is the front page.
export function parse(hash: string): Route {
  const text = hash.replace(/^#\/?/, '')
  const cut = text.indexOf('?')
  const path = cut < 0 ? text : text.slice(0, cut)
  const parameters = new URLSearchParams(cut < 0 ? '' : text.slice(cut + 1))
  return { path: path.split('/').filter((s) => s !== '').map(decode), parameters }
}

function decode(segment: string): string {
  try { return decodeURIComponent(segment) } catch { return segment }
}

// format writes a route as a hash.
export function format(path: string[], parameters?: URLSearchParams): string {
  const text = parameters?.toString() ?? ''
  return `#/${path.map(encodeURIComponent).join('/')}${text === '' ? '' : `?${text}`}`
}

export function current(): Route { return parse(location.hash) }

// go opens a route as a new entry of the history.
export function go(path: string[], parameters?: URLSearchParams): void {
  location.hash = format(path, parameters)
}

// push is a new entry of the history for what the page shows already: Back opens what was before.
export function push(path: string[], parameters?: URLSearchParams): void {
  const hash = format(path, parameters)
  if (hash !== location.hash) history.pushState(null, '', hash)
}

// replace changes the URL without a new entry and without opening the page anew.
export function replace(path: string[], parameters?: URLSearchParams): void {
  history.replaceState(null, '', format(path, parameters))
}
