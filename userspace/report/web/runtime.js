// runtime.js - what a language's runtime holds: its spans over time, how full each size class is at each collection, its own figures.
import { axis, bytesAxis, colour, makeChart, seriesColour, timeAxis } from './charts.js'
import { bytesEl, el, hover, section } from './dom.js'
import * as format from './format.js'

const CLASSES_SHOWN = 24
const MANY_USES = 8
const MEGABLOCK = 2 ** 20 // GHC's unit of what it asks the kernel for
const NAMES = { go: 'Go', ghc: 'Haskell (GHC)' }

// Rows of numbers as columns by their name.
function columnsOf(runtime) {
	return new Map(runtime.columns.map((name, i) => [name, runtime.rows.map((row) => row[i])]))
}

const usesOf = (columns) => [...columns.keys()].filter((c) => c.startsWith('spans.')).map((c) => c.slice('spans.'.length))

function heldOption(report, columns) {
	const ns = columns.get('ns')
	const uses = usesOf(columns)
	const all = ns.map((_, i) => uses.reduce((sum, use) => sum + columns.get(`spans.${use}`)[i], 0))
	const taken = ns.map((_, i) => uses.reduce((sum, use) => sum + columns.get(`taken.${use}`)[i], 0))
	const heap = columns.get('ghc.megablocks')?.map((n) => n * MEGABLOCK)
	const stacked = uses.length <= MANY_USES ? uses : []
	const line = (name, values, i) => ({ name, type: 'line', showSymbol: false, color: seriesColour(i), data: values.map((v, k) => [ns[k], v]) })
	return {
		grid: { left: 74, right: 16, top: 34, bottom: 30 },
		xAxis: timeAxis(report.summary),
		yAxis: bytesAxis(Math.max(0, ...all, ...(heap ?? []))),
		legend: {},
		tooltip: {
			trigger: 'axis',
			formatter: (params) =>
				hover(
					format.time(params[0].axisValue),
					params.map((p) => [p.seriesName, format.bytes(p.value[1]), p.color]),
				),
		},
		series: [
			...stacked.map((use, i) => ({
				...line(use, columns.get(`spans.${use}`), i),
				stack: 'spans',
				lineStyle: { width: 0 },
				areaStyle: { opacity: 0.85 },
			})),
			...(stacked.length ? [] : [line('spans', all, 0)]),
			line('objects in them', taken, stacked.length || 1),
			...(heap ? [line('heap', heap, stacked.length + 1)] : []),
		],
	}
}

// The classes that ever had most free places, by size.
function classesOf(columns) {
	const free = (use) => Math.max(...columns.get(`spans.${use}`).map((v, i) => v - columns.get(`taken.${use}`)[i]))
	return usesOf(columns)
		.filter((use) => /^\d/.test(use))
		.map((use) => ({ use, free: free(use) }))
		.sort((a, b) => b.free - a.free)
		.slice(0, CLASSES_SHOWN)
		.sort((a, b) => parseInt(a.use, 10) - parseInt(b.use, 10))
}

function cellsOf(columns, classes) {
	const most = Math.max(1, ...classes.flatMap(({ use }) => columns.get(`spans.${use}`)))
	return classes.flatMap(({ use }, y) =>
		columns.get(`spans.${use}`).flatMap((spans, x) => {
			const taken = columns.get(`taken.${use}`)[x]
			return spans ? [[x, y, Math.min(1, taken / spans), spans, taken, Math.sqrt(spans / most)]] : []
		}),
	)
}

// Colour: how full; height: how much there is of it.
function drawCell(params, api) {
	const [x, y] = api.coord([api.value(0), api.value(1)])
	const [width, height] = api.size([1, 1])
	const tall = Math.max(1, (height - 1) * api.value(5))
	return {
		type: 'rect',
		shape: { x: x - width / 2, y: y + height / 2 - tall, width: width + 0.5, height: tall },
		style: { fill: mixed(api.value(2)) },
	}
}

// Between the colours of holes (0) and of what is used (1); a canvas does not know color-mix.
function mixed(full) {
	const parse = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16))
	const [from, to] = [parse(colour('orange')), parse(colour('blue'))]
	return `rgb(${from.map((c, i) => Math.round(c + (to[i] - c) * full)).join(',')})`
}

function heatOption(columns, classes) {
	const ns = columns.get('ns')
	return {
		grid: { left: 110, right: 16, top: 8, bottom: 40 },
		xAxis: axis({
			type: 'category',
			data: ns.map((t) => format.duration(t)),
			name: 'collections',
			nameLocation: 'middle',
			nameGap: 24,
			splitLine: { show: false },
		}),
		yAxis: axis({ type: 'category', data: classes.map((c) => c.use), splitLine: { show: false }, axisLabel: { interval: 0 } }),
		tooltip: {
			formatter: (p) =>
				hover(`${classes[p.value[1]].use} at ${format.time(ns[p.value[0]])}`, [
					['full', format.percent(p.value[4], p.value[3])],
					['spans', format.bytes(p.value[3])],
					['free places', format.bytes(p.value[3] - p.value[4])],
				]),
		},
		series: [{ type: 'custom', renderItem: drawCell, encode: { x: 0, y: 1 }, data: cellsOf(columns, classes) }],
	}
}

// First, highest and last value of each figure that the runtime itself keeps.
function figures(columns) {
	const names = [...columns.keys()].filter((c) => /^(go|ghc)\./.test(c))
	const show = (name, v) => (name.endsWith('_bytes') ? bytesEl(v) : format.exact(v))
	const cell = (name, v) => el('td', { class: 'number' }, show(name, v))
	return el(
		'table',
		{ id: 'runtime-figures', class: 'parts' },
		el('tr', {}, ...['figure', 'first', 'highest', 'last'].map((t, i) => el('th', { class: i ? 'number' : '' }, t))),
		names.map((name) => {
			const values = columns.get(name)
			return el(
				'tr',
				{},
				el('td', {}, name.replace(/^\w+\./, '').replaceAll('_', ' ')),
				cell(name, values[0]),
				cell(name, values.reduce((a, b) => Math.max(a, b))),
				cell(name, values[values.length - 1]),
			)
		}),
	)
}

export function runtimeSection(report) {
	const runtime = report.doc.runtime
	if (!runtime?.rows.length) return null
	const columns = columnsOf(runtime)
	const classes = classesOf(columns)
	const s = section(
		'runtime',
		`What ${NAMES[runtime.name] ?? runtime.name}\u2019s runtime holds`,
		`Recorded: ${runtime.levels.replaceAll(',', ', ')}; ${format.count(runtime.rows.length)} moments at which it told its own figures.`,
	)
	if (usesOf(columns).length)
		s.body.append(makeChart('runtime', 'Spans of the runtime over time, and the objects in them', 240, () => heldOption(report, columns)).node)
	if (classes.length)
		s.body.append(
			el('h3', {}, 'How full each size class is, at each collection: orange is free, blue is used, the height how much there is of it'),
			makeChart('runtime-classes', 'Occupancy of size classes by collection', 60 + 18 * classes.length, () => heatOption(columns, classes)).node,
		)
	s.body.append(figures(columns))
	return s.node
}
