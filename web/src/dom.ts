// Elements without a framework: h() makes one, render() replaces what an element holds.

export type Child = Node | string | number | null | undefined | false
export type Attributes = Record<string, unknown>

// h makes an element. Attributes whose name starts with "on" are listeners; true sets an empty
// attribute, and false, null and undefined set none. Texts are always text, never markup.
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K, attributes: Attributes = {}, ...children: (Child | Child[])[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  setAttributes(element, attributes)
  append(element, children)
  return element
}

const svgNamespace = 'http://www.w3.org/2000/svg'

// svg makes an element of a drawing.
export function svg(
  tag: string, attributes: Attributes = {}, ...children: (Child | Child[])[]
): SVGElement {
  const element = document.createElementNS(svgNamespace, tag)
  setAttributes(element, attributes)
  append(element, children)
  return element
}

// render puts children in the place of what an element holds.
export function render(into: Element, ...children: (Child | Child[])[]): void {
  into.replaceChildren()
  append(into, children)
}

function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue
    if (name.startsWith('on')) {
      element.addEventListener(name.slice(2).toLowerCase(), value as EventListener)
    } else {
      element.setAttribute(name, value === true ? '' : String(value))
    }
  }
}

function append(element: Element, children: (Child | Child[])[]): void {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue
    element.append(child instanceof Node ? child : String(child))
  }
}
