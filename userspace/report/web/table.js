// table.js - a table that sorts by its headers and keeps only the rows that a filter names. Long ones show more on demand.
import { el } from './dom.js'

const ROWS_FIRST = 20
const ROWS_MORE = 200

// columns: { key, label, value(row): number or text, show(row): element or text, number: bool, title }
export class Table {
	constructor(name, columns, rows, options = {}) {
		Object.assign(this, {
			columns,
			rows,
			options,
			sorted: options.sorted ?? columns[0].key,
			down: true,
			needle: '',
			limit: ROWS_FIRST,
			opened: new Set(),
		})
		this.head = el('tr')
		this.body = el('tbody')
		this.more = el('button', { type: 'button', class: 'more', click: () => this.showMore() })
		this.found = el('span', { class: 'found', 'aria-live': 'polite' })
		this.filter = el('input', {
			type: 'search',
			placeholder: 'Filter',
			'aria-label': `Filter ${name}`,
			spellcheck: 'false',
			input: () => this.setFilter(),
		})
		this.node = el(
			'div',
			{ class: 'table-box', id: `table-${name}` },
			el('div', { class: 'tools' }, this.filter, this.found),
			el(
				'div',
				{ class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `Table of ${name}` },
				el('table', { class: 'rows' }, el('thead', {}, this.head), this.body),
			),
			this.more,
		)
		this.draw()
	}

	setFilter() {
		this.needle = this.filter.value.trim().toLowerCase()
		this.limit = ROWS_FIRST
		this.draw()
	}

	showMore() {
		this.limit += ROWS_MORE
		this.draw()
	}

	sortBy(column) {
		this.down = this.sorted === column.key ? !this.down : Boolean(column.number)
		this.sorted = column.key
		this.draw()
	}

	chosenRows() {
		const column = this.columns.find((c) => c.key === this.sorted)
		const list = this.rows().filter(
			(row) => !this.needle || this.options.text(row).toLowerCase().includes(this.needle),
		)
		const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0)
		return list.sort((a, b) => (this.down ? -1 : 1) * compare(column.value(a), column.value(b)))
	}

	draw() {
		const list = this.chosenRows()
		this.head.replaceChildren(...this.columns.map((c) => this.header(c)))
		this.body.replaceChildren(...list.slice(0, this.limit).flatMap((row) => this.row(row)))
		this.more.hidden = list.length <= this.limit
		this.more.textContent = `Show ${Math.min(ROWS_MORE, list.length - this.limit)} more`
		this.found.textContent = `${list.length.toLocaleString('en-US')} of ${this.rows().length.toLocaleString('en-US')}`
	}

	header(column) {
		const is = this.sorted === column.key
		return el(
			'th',
			{
				scope: 'col',
				class: column.number ? 'number' : '',
				'aria-sort': is ? (this.down ? 'descending' : 'ascending') : 'none',
			},
			el(
				'button',
				{ type: 'button', title: column.title, click: () => this.sortBy(column) },
				column.label,
				el('span', { class: 'arrow', 'aria-hidden': 'true' }, is ? (this.down ? '▼' : '▲') : ''),
			),
		)
	}

	row(row) {
		const detail = this.options.detail
		const cells = this.columns.map((c, i) =>
			el(
				'td',
				{ class: c.number ? 'number' : 'name' },
				detail && i === this.columns.length - 1 ? this.opener(row, c) : c.show(row),
			),
		)
		const main = el('tr', {}, cells)
		if (!detail || !this.opened.has(row.index)) return [main]
		return [main, el('tr', { class: 'detail' }, el('td', { colspan: this.columns.length }, detail(row)))]
	}

	opener(row, column) {
		const open = this.opened.has(row.index)
		return el(
			'button',
			{
				type: 'button',
				class: 'opener',
				'aria-expanded': String(open),
				click: () => {
					if (open) this.opened.delete(row.index)
					else this.opened.add(row.index)
					this.draw()
				},
			},
			column.show(row),
		)
	}
}
