// The fields of forms: a label, a control and a hint that belong together.

import { h, type Attributes } from '../../dom'

export interface Field {
  name: string
  label: string
  value?: string
  hint?: string
  attributes?: Attributes
}

// input is a field to type into.
export function input(f: Field): HTMLElement {
  return framed(f, h('input', {
    id: `field-${f.name}`, name: f.name, value: f.value ?? '', autocomplete: 'off', spellcheck: 'false',
    maxlength: '256', 'aria-describedby': f.hint ? `hint-${f.name}` : undefined, ...f.attributes,
  }))
}

// area is a field of several lines.
export function area(f: Field): HTMLElement {
  const control = h('textarea', {
    id: `field-${f.name}`, name: f.name, rows: '3', spellcheck: 'false', maxlength: '8192',
    'aria-describedby': f.hint ? `hint-${f.name}` : undefined, ...f.attributes,
  })
  control.value = f.value ?? ''
  return framed(f, control)
}

// choice is a field of values and what they are called.
export function choice(f: Field, options: [string, string][]): HTMLElement {
  return framed(f, h('select', {
    id: `field-${f.name}`, name: f.name, 'aria-describedby': f.hint ? `hint-${f.name}` : undefined,
    ...f.attributes,
  }, options.map(([value, text]) => h('option', { value, selected: value === f.value }, text))))
}

function framed(f: Field, control: HTMLElement): HTMLElement {
  return h('div', { class: 'field' },
    h('label', { for: `field-${f.name}` }, f.label), control,
    f.hint && h('p', { class: 'hint', id: `hint-${f.name}` }, f.hint))
}
