// flame.js - flame graphs: what lives, what was allocated, what pins pages, what is temporary, by call stack, at the chosen moment.
import { axis, charts, colour, makeChart, SERIES } from './charts.js'
import { choice, el, hover, section } from './dom.js'
import * as format from './format.js'
import { chosen, onChange } from './store.js'

const ROW = 19
const WIDTH_MIN = 0.4 / 1000 // of the whole: narrower than that is not seen
const DEPTH_SHOWN = 34 // rows before the graph scrolls

const KINDS = {
	live: ['Live', 'live_bytes', 'live'],
	allocated: ['Allocated', 'allocated_bytes', 'allocations'],
	pinned: ['Pinned', 'pinned_bytes', null],
	temporary: ['Temporary', 'temporary_bytes', 'temporary'],
}
const ABOUT = {
	live: 'What lives at the chosen moment, by who allocated it.',
	allocated: 'What was allocated up to the chosen moment.',
	pinned: 'Resident pages on which nothing lives but objects of one stack: what would come free if that code let go.',
	temporary: 'Objects that were freed within a millisecond, up to the chosen moment.',
}

class Node {
	constructor(name, frame, parent) {
		Object.assign(this, {
			name,
			frame,
			parent,
			value: 0,
			self: 0,
			children: new Map(),
			depth: parent ? parent.depth + 1 : 0,
			x: 0,
		})
	}
}

// The outermost frame stands at the top; call sites of one function are one frame.
function buildTree(report, key) {
	const root = new Node('all', null, null)
	for (const stack of report.stacks) {
		const value = report.figure(stack, key, chosen('moment'))
		if (!value) continue
		let node = root
		node.value += value
		for (let i = stack.frames.length - 1; i >= 0; i--)
			node = step(node, stack.frames[i].key, stack.frames[i].function, stack.frames[i], value)
		if (!stack.frames.length) node = step(node, -1 - stack.isRest, stack.label, null, value)
		node.self += value
	}
	return root
}

function step(node, key, name, frame, value) {
	let child = node.children.get(key)
	if (!child) node.children.set(key, (child = new Node(name, frame, node)))
	child.value += value
	return child
}

const path = (node) => (node.parent ? [...path(node.parent), node.frame?.key ?? -1] : [])

function find(root, keys) {
	let node = root
	for (const key of keys) {
		if (!node.children.has(key)) return node
		node = node.children.get(key)
	}
	return node
}

// Frames that are wide enough to be seen, with the focus as wide as the graph.
function layout(focus) {
	const list = []
	for (let node = focus.parent; node; node = node.parent) list.unshift(Object.assign(node, { x: 0, w: 1 }))
	place(focus, 0, 1, list)
	return list
}

function place(node, x, w, list) {
	list.push(Object.assign(node, { x, w }))
	const children = [...node.children.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
	for (const child of children) {
		const width = (w * child.value) / node.value
		if (width >= WIDTH_MIN) place(child, x, width, list)
		x += width
	}
}

export class Flame {
	constructor(report) {
		Object.assign(this, { report, kind: 'live', objects: false, needle: '', focusKeys: [], cursor: 0, list: [] })
		this.modules = this.rankModules()
		this.chart = makeChart(
			'flame',
			'Flame graph; arrow keys go from frame to frame, Enter makes one as wide as the graph, Escape shows all',
			300,
			() => this.option(),
		)
		this.chart.node.tabIndex = 0
		this.chart.node.addEventListener('keydown', (e) => this.key(e))
		this.chart.started((c) => {
			c.on('click', (e) => this.focusOn(this.list[e.dataIndex]))
			this.update()
		})
		this.empty = el('p', { class: 'note', hidden: true }, 'Nothing at this moment.')
		this.crumb = el('p', { class: 'crumb', 'aria-live': 'polite' })
		this.box = el('div', { class: 'flame-box' }, this.chart.node)
		onChange('moment', () => this.update())
		onChange('dark', () => this.update())
	}

	// The files that hold most get colours of their own.
	rankModules() {
		const sums = new Map()
		for (const stack of this.report.stacks)
			for (const module of new Set(stack.frames.map((f) => f.module)))
				sums.set(module, (sums.get(module) ?? 0) + stack.allocated_bytes)
		const order = [...sums].sort((a, b) => b[1] - a[1]).map(([module]) => module)
		return new Map(order.slice(0, 6).map((module, i) => [module, i]))
	}

	get figure() {
		const [, bytes, objects] = KINDS[this.kind]
		return this.objects && objects ? objects : bytes
	}

	text(value) {
		return this.figure.endsWith('bytes') ? format.bytes(value) : `${format.count(value)} objects`
	}

	exact(value) {
		return this.figure.endsWith('bytes') ? format.exactBytes(value) : `${format.exact(value)} objects`
	}

	matches(node) {
		return (
			node.frame &&
			`${node.frame.function} ${node.frame.file ?? ''} ${node.frame.module}`.toLowerCase().includes(this.needle)
		)
	}

	// A needle's share, without counting a function twice that calls itself.
	sumMatches(node) {
		if (this.matches(node)) return node.value
		let sum = 0
		for (const child of node.children.values()) sum += this.sumMatches(child)
		return sum
	}

	update() {
		this.root = buildTree(this.report, this.figure)
		const focus = find(this.root, this.focusKeys)
		this.list = this.root.value ? layout(focus) : []
		this.cursor = Math.max(0, this.list.indexOf(focus))
		this.empty.hidden = this.list.length > 0
		this.box.hidden = !this.list.length
		this.chart.node.style.height = `${ROW * (1 + Math.max(0, ...this.list.map((n) => n.depth))) + 6}px`
		this.box.style.maxHeight = `${ROW * DEPTH_SHOWN}px`
		this.chart.draw() // before its size changes: that draws too, what it has
		this.chart.resize()
		this.tell(focus)
	}

	tell(focus) {
		const parts = [`${this.text(this.root.value)} in all at ${format.time(this.report.moments[chosen('moment')].ns)}`]
		if (focus !== this.root)
			parts.push(
				`${this.text(focus.value)} (${format.percent(focus.value, this.root.value)}) under ${focus.name}`,
			)
		if (this.needle) {
			const sum = this.sumMatches(this.root)
			parts.push(`${this.text(sum)} (${format.percent(sum, this.root.value)}) match`)
		}
		this.crumb.textContent = parts.join('; ')
		this.crumb.title = this.exact(this.root.value)
	}

	colourOf(node) {
		if (this.needle && !this.matches(node)) return colour('ground')
		if (!node.frame) return colour('tint-grey')
		const rank = this.modules.get(node.frame.module)
		return rank === undefined ? colour('tint-grey') : colour(`tint-${SERIES[rank]}`)
	}

	option() {
		const depth = Math.max(1, ...this.list.map((n) => n.depth + 1))
		return {
			grid: { left: 1, right: 1, top: 2, bottom: 2 },
			xAxis: axis({ type: 'value', min: 0, max: 1, show: false }),
			yAxis: axis({ type: 'value', min: 0, max: depth, inverse: true, show: false }),
			tooltip: { formatter: (params) => this.describe(this.list[params.dataIndex]) },
			series: [
				{
					type: 'custom',
					progressive: 0,
					clip: true,
					encode: { x: [0, 1], y: 2 },
					renderItem: (_, api) => this.draw(api),
					data: this.list.map((n, i) => ({ name: n.name, value: [n.x, n.x + n.w, n.depth, i] })),
				},
			],
		}
	}

	draw(api) {
		const node = this.list[api.value(3)]
		const [x, y] = api.coord([api.value(0), api.value(2)])
		const width = api.coord([api.value(1), 0])[0] - x
		const marked = this.list[this.cursor] === node && document.activeElement === this.chart.node
		const above = this.focusKeys.length && node.depth < this.focusKeys.length
		return {
			type: 'rect',
			shape: { x, y, width: Math.max(0.4, width - (width > 3 ? 1 : 0)), height: ROW - 1, r: width > 8 ? 2 : 0 },
			style: {
				fill: this.colourOf(node),
				opacity: above ? 0.55 : 1,
				stroke: marked ? colour('text') : undefined,
				lineWidth: marked ? 2 : 0,
			},
			emphasis: { style: { stroke: colour('text'), lineWidth: 1 } },
			textContent:
				width > 34
					? {
							style: {
								text: node.name,
								fill:
									this.needle && !this.matches(node)
										? colour('muted')
										: '#111',
								fontSize: 11.5,
								width: width - 8,
								overflow: 'truncate',
								ellipsis: '…',
							},
						}
					: undefined,
			textConfig: { position: 'insideLeft', distance: 4 },
		}
	}

	describe(node) {
		const rows = [
			[KINDS[this.kind][0].toLowerCase(), `${this.text(node.value)} (${this.exact(node.value)})`],
			['of all', format.percent(node.value, this.root.value)],
			['by itself', this.text(node.self)],
		]
		const where = node.frame
			? [
					node.frame.file
						? `${node.frame.file}${node.frame.line ? `:${node.frame.line}` : ''}`
						: null,
					node.frame.module,
				].filter(Boolean)
			: []
		return hover(node.name, rows, where)
	}

	focusOn(node) {
		if (!node) return
		this.focusKeys = path(node)
		this.update()
	}

	search(text) {
		this.needle = text.trim().toLowerCase()
		this.update()
	}

	setKind(kind) {
		this.kind = kind
		this.focusKeys = []
		this.update()
	}

	key(event) {
		const node = this.list[this.cursor]
		const go = {
			ArrowDown: () => this.list.find((n) => n.parent === node),
			ArrowUp: () => node?.parent,
			ArrowRight: () => this.beside(node, 1),
			ArrowLeft: () => this.beside(node, -1),
		}[event.key]
		if (event.key === 'Enter') this.focusOn(node)
		else if (event.key === 'Escape') this.focusOn(this.root)
		else if (!go) return
		event.preventDefault()
		const to = go?.()
		if (to) this.moveTo(to)
	}

	beside(node, direction) {
		const row = this.list.filter((n) => n.depth === node?.depth)
		return row[row.indexOf(node) + direction]
	}

	moveTo(node) {
		this.cursor = this.list.indexOf(node)
		this.chart.draw()
		this.crumb.textContent = `${node.name}: ${this.text(node.value)}, ${format.percent(node.value, this.root.value)}`
		charts.flame.dispatchAction({ type: 'showTip', seriesIndex: 0, dataIndex: this.cursor })
	}
}

function legend(flame) {
	const base = (module) => module.split('/').pop() || '(no file)'
	const items = [...flame.modules].map(([module, i]) => {
		const mark = el('span', { class: 'swatch' })
		mark.style.background = `var(--tint-${SERIES[i]})`
		return el('span', { title: module }, mark, base(module))
	})
	return el('p', { class: 'legend' }, items)
}

export function flameSection(report) {
	const s = section('flame', 'Flame graphs')
	const flame = new Flame(report)
	const about = el('p', { class: 'about' }, ABOUT.live)
	const kinds = choice(
		'What is drawn',
		Object.entries(KINDS).map(([k, [name]]) => [k, name]),
		'live',
		(kind) => {
			about.textContent = ABOUT[kind]
			flame.setKind(kind)
		},
	)
	const units = choice(
		'Unit',
		[
			['bytes', 'Bytes'],
			['objects', 'Objects'],
		],
		'bytes',
		(unit) => {
			flame.objects = unit === 'objects'
			flame.update()
		},
	)
	const search = el('input', {
		type: 'search',
		id: 'flame-search',
		placeholder: 'Search functions, files',
		'aria-label': 'Search the flame graph',
		spellcheck: 'false',
		input: () => flame.search(search.value),
	})
	const all = el('button', { type: 'button', click: () => flame.focusOn(flame.root) }, 'Show all')
	s.body.append(
		el('div', { class: 'tools' }, kinds, units, search, all),
		about,
		flame.crumb,
		flame.empty,
		flame.box,
		legend(flame),
	)
	return { node: s.node, flame, show: (text) => showIn(s.node, flame, search, text) }
}

// From elsewhere on the page: look for this function, here.
function showIn(node, flame, search, text) {
	search.value = text
	flame.search(text)
	node.scrollIntoView({ behavior: 'smooth' })
	search.focus({ preventScroll: true })
}
