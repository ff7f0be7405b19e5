// heapmap.js - the address space as a grid: each cell a run of pages, coloured by how full it is.
//
// Places are fixed over all moments, so that what moves under the slider is the heap and not the picture. Stretches of addresses
// in which nothing ever was are left out.
import { colour } from './charts.js'
import { el, hover, section } from './dom.js'
import * as format from './format.js'
import { chosen, onChange } from './store.js'

const ROWS = 36
const ROW_HEIGHT = 16
const LEFT = 118 // for addresses

// Cividis: even steps of lightness, the same for eyes that see less colour. The emptier, the brighter: waste is what is looked for.
const RAMP = ['#fde737', '#d3c064', '#a59c74', '#7c7b78', '#575d6d', '#2f3f6b', '#00224e']

export function occupancyColour(share) {
	const at = Math.min(1, Math.max(0, share)) * (RAMP.length - 1)
	const i = Math.min(RAMP.length - 2, Math.floor(at))
	const mixed = [1, 3, 5].map((k) => {
		const [a, b] = [RAMP[i], RAMP[i + 1]].map((c) => parseInt(c.slice(k, k + 2), 16))
		return Math.round(a + (b - a) * (at - i))
	})
	return `rgb(${mixed.join(',')})`
}

// Which blocks of addresses hold something at any moment, in order; a block's rank is its place.
class Layout {
	constructor(moments) {
		const cells = moments.flat()
		this.block = Math.max(4096, ...cells.map((c) => c.nbytes)) * 16
		const numbers = new Set(cells.map((c) => Math.floor(c.address / this.block)))
		this.blocks = [...numbers].sort((a, b) => a - b)
		this.rank = new Map(this.blocks.map((b, i) => [b, i]))
		this.perRow = Math.max(1, Math.ceil(this.blocks.length / ROWS))
		this.rows = Math.ceil(this.blocks.length / this.perRow)
	}

	// Row, and where in it from 0 to 1.
	place(address) {
		const block = Math.floor(address / this.block)
		const rank = this.rank.get(block)
		return {
			row: Math.floor(rank / this.perRow),
			x: ((rank % this.perRow) + (address - block * this.block) / this.block) / this.perRow,
		}
	}

	width(nbytes) {
		return nbytes / this.block / this.perRow
	}

	// Ranks whose block does not follow the one before in memory.
	get gaps() {
		return this.blocks
			.map((b, i) => [b, i])
			.filter(([b, i]) => i && b !== this.blocks[i - 1] + 1)
			.map(([, i]) => i)
	}
}

export class HeapMap {
	constructor(report) {
		this.report = report
		this.moments = report.moments.map((m) => report.cells(m.index))
		this.layout = new Layout(this.moments)
		this.canvas = el('canvas', {
			class: 'map',
			tabindex: 0,
			role: 'img',
			'aria-describedby': 'map-cell',
			'aria-label': 'Map of the heap; arrow keys go from cell to cell',
			'data-chart': 'map',
			mousemove: (e) => this.point(e),
			mouseleave: () => this.leave(),
			keydown: (e) => this.key(e),
		})
		this.tip = el('div', { class: 'tip', hidden: true })
		this.told = el('p', { id: 'map-cell', class: 'sr', 'aria-live': 'polite' })
		this.node = el('div', { class: 'map-box' }, this.canvas, this.tip, this.told)
		this.current = -1
		new ResizeObserver(() => this.draw()).observe(this.node)
		onChange('moment', () => {
			this.leave()
			this.draw()
		})
		onChange('dark', () => this.draw())
	}

	get cells() {
		return this.moments[chosen('moment')]
	}

	rect(cell) {
		const { row, x } = this.layout.place(cell.address)
		const width = this.canvas.clientWidth - LEFT
		return {
			x: LEFT + x * width,
			y: row * ROW_HEIGHT,
			w: Math.max(1, this.layout.width(cell.nbytes) * width),
			h: ROW_HEIGHT - 2,
		}
	}

	draw() {
		const width = this.node.clientWidth,
			height = Math.max(1, this.layout.rows) * ROW_HEIGHT
		const ratio = window.devicePixelRatio || 1
		if (!width) return
		this.canvas.style.height = `${height}px`
		this.canvas.width = width * ratio
		this.canvas.height = height * ratio
		const g = this.canvas.getContext('2d')
		g.scale(ratio, ratio)
		this.drawGround(g, width)
		for (const cell of this.cells) this.drawCell(g, cell)
		this.drawGaps(g, width)
		if (this.current >= 0) this.drawFrame(g)
	}

	drawGround(g, width) {
		g.font = '11px ui-monospace, monospace'
		g.textBaseline = 'middle'
		for (let row = 0; row < this.layout.rows; row++) {
			const blocks = Math.min(this.layout.perRow, this.layout.blocks.length - row * this.layout.perRow)
			g.fillStyle = colour('ground')
			g.fillRect(LEFT, row * ROW_HEIGHT, ((width - LEFT) * blocks) / this.layout.perRow, ROW_HEIGHT - 2)
			g.fillStyle = colour('muted')
			g.fillText(
				format.address(this.layout.blocks[row * this.layout.perRow] * this.layout.block),
				0,
				row * ROW_HEIGHT + ROW_HEIGHT / 2 - 1,
			)
		}
	}

	// Objects that nobody has touched are in no memory: an outline only.
	drawCell(g, cell) {
		const r = this.rect(cell)
		const gap = r.w > 4 ? 0.5 : 0
		if (cell.resident || !this.report.summary.has_pages) {
			g.fillStyle = occupancyColour(cell.live_bytes / (cell.resident || cell.nbytes))
			g.fillRect(r.x, r.y, r.w - gap, r.h)
		} else {
			g.strokeStyle = colour('muted')
			g.strokeRect(r.x + 0.5, r.y + 0.5, Math.max(0.5, r.w - 1), r.h - 1)
		}
	}

	drawGaps(g, width) {
		g.fillStyle = colour('red')
		for (const rank of this.layout.gaps) {
			const x = LEFT + ((rank % this.layout.perRow) / this.layout.perRow) * (width - LEFT)
			if (this.layout.perRow <= 16)
				g.fillRect(x - 1, Math.floor(rank / this.layout.perRow) * ROW_HEIGHT, 1.5, ROW_HEIGHT - 2)
		}
	}

	drawFrame(g) {
		const r = this.rect(this.cells[this.current])
		g.strokeStyle = colour('text')
		g.lineWidth = 2
		g.strokeRect(r.x - 1, r.y - 1, r.w + 2, r.h + 2)
	}

	cellAt(x, y) {
		return this.cells.findIndex((cell) => {
			const r = this.rect(cell)
			return x >= r.x && x < r.x + r.w && y >= r.y && y < r.y + ROW_HEIGHT
		})
	}

	point(event) {
		const box = this.canvas.getBoundingClientRect()
		this.show(this.cellAt(event.clientX - box.left, event.clientY - box.top))
	}

	key(event) {
		const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 16, ArrowUp: -16 }[event.key]
		if (event.key === 'Escape') this.leave()
		if (!step || !this.cells.length) return
		event.preventDefault()
		this.show(Math.min(this.cells.length - 1, Math.max(0, this.current + step)))
		this.told.textContent = this.tip.textContent
	}

	leave() {
		this.show(-1)
	}

	show(i) {
		if (i === this.current) return
		this.current = i
		this.tip.hidden = i < 0
		if (i >= 0) this.tip.replaceChildren(this.describe(this.cells[i]))
		if (i >= 0) this.putTip(this.rect(this.cells[i]))
		this.draw()
	}

	putTip(r) {
		const left = Math.min(r.x, Math.max(0, this.node.clientWidth - this.tip.offsetWidth - 4))
		this.tip.style.left = `${left}px`
		this.tip.style.top = `${r.y + ROW_HEIGHT + 4}px`
	}

	describe(cell) {
		const now = this.report.moments[chosen('moment')].ns
		const rows = [
			['in memory', `${format.bytes(cell.resident)} of ${format.bytes(cell.nbytes)}`],
			['live objects', format.exact(cell.live)],
			['live', `${format.bytes(cell.live_bytes)} (${format.exact(cell.live_bytes)})`],
		]
		if (cell.resident) rows.push(['full', format.percent(Math.min(cell.live_bytes, cell.resident), cell.resident)])
		if (cell.live)
			rows.push(
				['oldest', `${format.duration(Math.max(0, now - cell.oldest))} old`],
				['youngest', `${format.duration(Math.max(0, now - cell.youngest))} old`],
			)
		return hover(
			`${format.address(cell.address)} - ${format.address(cell.address + cell.nbytes)}`,
			rows,
			cell.stacks.map((s) => `${format.bytes(s.bytes)}  ${s.label}`),
		)
	}
}

function legend(report) {
	const ramp = el('span', { class: 'ramp' })
	ramp.style.background = `linear-gradient(to right, ${RAMP.join(',')})`
	const untouched = [el('span', { class: 'outline' }), ' objects that are not in memory']
	return el(
		'p',
		{ class: 'legend' },
		'empty ',
		ramp,
		' full',
		report.summary.has_pages ? untouched : ' (of the addresses: what is in memory is not known)',
	)
}

function title(report) {
	const cells = report.doc.map[chosen('moment')]
	const moment = report.moments[chosen('moment')]
	return `At ${format.time(moment.ns)}${report.momentName(moment.index)}: ${format.exact(cells?.cells ?? 0)} cells of ${format.bytes(cells?.cell_bytes ?? 0)}`
}

export function heapMapSection(report) {
	const s = section(
		'map',
		'Map of the heap',
		'Addresses from left to right and row by row; a bright cell is memory that few bytes keep. Stretches in which nothing ever was are left out, a red line shows where.',
	)
	const map = new HeapMap(report)
	const head = el('h3', { id: 'map-now' }, title(report))
	onChange('moment', () => (head.textContent = title(report)))
	s.body.append(head, legend(report), map.node)
	return { node: s.node, map }
}
