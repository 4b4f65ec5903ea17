import { h, type Child } from '../dom'

export interface Column<Row> {
  name: string
  cell: (row: Row) => Child | Child[]
  numeric?: boolean // to the right, in figures of one width
  narrow?: boolean // may go on a phone
}

// table is a real table with a caption for those who do not see it. It scrolls sideways in itself
// and can then be reached by keyboard.
export function table<Row>(
  caption: string, columns: Column<Row>[], rows: Row[], attributes: Record<string, unknown> = {},
): HTMLElement {
  return h('div', { class: 'table-scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    h('table', attributes,
      h('caption', { class: 'visually-hidden' }, caption),
      h('thead', {}, h('tr', {}, columns.map((c) => h('th', { scope: 'col', class: classOf(c) }, c.name)))),
      h('tbody', {}, rows.map((row) => h('tr', {},
        columns.map((c) => h('td', { class: classOf(c) }, c.cell(row))))))))
}

function classOf<Row>(c: Column<Row>): string | undefined {
  return [c.numeric && 'num', c.narrow && 'wide-only'].filter(Boolean).join(' ') || undefined
}
