// split.js - what resident memory consists of: over time as stacked areas, and at the chosen moment in numbers.
import { bytesAxis, colour, makeChart, momentLine, onTime, timeAxis } from './charts.js'
import { bytesEl, el, hover, note, section, swatch } from './dom.js'
import * as format from './format.js'
import { PARTS } from './report.js'
import { choose, chosen, onChange } from './store.js'

const COLOURS = { requested: 'blue', holes: 'orange', retained: 'yellow', metadata: 'purple', unknown: 'grey' }

const partsOf = (report) => PARTS.filter(([key]) => key !== 'unknown' || report.timeline.some((p) => p.unknown))
const sumOf = (report, p) => partsOf(report).reduce((sum, [key]) => sum + p[key], 0)

function tip(report, at) {
	const p = report.timeline.reduce((a, b) => (Math.abs(b.ns - at) < Math.abs(a.ns - at) ? b : a))
	const all = sumOf(report, p)
	return hover(format.time(p.ns), [
		...partsOf(report)
			.map(([key]) => [key, `${format.bytes(p[key])}  ${format.percent(p[key], all)}`, colour(COLOURS[key])])
			.reverse(),
		['in memory', `${format.bytes(all)} (${format.exact(all)})`],
	])
}

function option(report) {
	return {
		grid: { left: 74, right: 16, top: 34, bottom: 30 },
		xAxis: timeAxis(report.summary),
		yAxis: bytesAxis(Math.max(...report.timeline.map((p) => sumOf(report, p)))),
		legend: {},
		tooltip: {
			trigger: 'axis',
			axisPointer: { type: 'line', lineStyle: { color: colour('muted') } },
			formatter: (params) => tip(report, params[0].axisValue),
		},
		series: partsOf(report).map(([key], i) => ({
			name: key,
			type: 'line',
			stack: 'resident',
			showSymbol: false,
			color: colour(COLOURS[key]),
			lineStyle: { width: 0 },
			areaStyle: { opacity: 0.9 },
			data: report.timeline.map((p) => [p.ns, p[key]]),
			markLine: i === 0 ? momentLine(report.moments[chosen('moment')].ns) : undefined,
		})),
	}
}

// One bar of the moment's parts, in the widths of their shares.
function bar(report, moment, all) {
	const node = el('div', { class: 'bar', role: 'img', 'aria-label': 'Shares of resident memory at the chosen moment' })
	for (const [key] of partsOf(report)) {
		const piece = el('span', { title: `${key}: ${format.exactBytes(moment[key])}`, 'data-part': key })
		piece.style.width = `${all ? (100 * moment[key]) / all : 0}%`
		piece.style.background = `var(--${COLOURS[key]})`
		node.append(piece)
	}
	return node
}

function rows(report, moment, all) {
	return partsOf(report).map(([key, what]) =>
		el(
			'tr',
			{ 'data-part': key },
			el('td', {}, swatch(`var(--${COLOURS[key]})`), key),
			el('td', { class: 'number' }, bytesEl(moment[key])),
			el('td', { class: 'number' }, format.percent(moment[key], all)),
			el('td', { class: 'what' }, what),
		),
	)
}

function atMoment(report) {
	const moment = report.moments[chosen('moment')]
	const all = sumOf(report, moment)
	const beside = el(
		'tr',
		{},
		el('td', {}, swatch('transparent'), 'around'),
		el('td', { class: 'number' }, bytesEl(moment.around)),
		el('td'),
		el('td', { class: 'what' }, 'the process\u2019s own mappings, data and stacks, beside the heap'),
	)
	return [
		el(
			'h3',
			{},
			`At ${format.time(moment.ns)}: `,
			bytesEl(all),
			' in memory for ',
			bytesEl(moment.live_bytes),
			' of live objects',
		),
		bar(report, moment, all),
		el('table', { class: 'parts' }, rows(report, moment, all), beside),
		moment.unresident > moment.requested / 100
			? note(`${format.bytes(moment.unresident)} of live objects are not in memory: never touched.`)
			: null,
	].filter(Boolean)
}

export function splitSection(report) {
	const s = section('split', 'What resident memory consists of', 'Every resident byte of the heap is exactly one of these.')
	if (!report.summary.has_pages) {
		s.body.append(note('The tape has no page faults (--faults off, or rights): what is resident is not known.'))
		return s.node
	}
	const chart = makeChart('split', 'Parts of resident memory over time, stacked', 270, () => option(report))
	const now = el('div', { id: 'split-now' }, atMoment(report))
	chart.started((c) => onTime(c, (ns) => choose('moment', report.nearestMoment(ns))))
	onChange('moment', () => {
		chart.get()?.setOption({ series: [{ markLine: momentLine(report.moments[chosen('moment')].ns) }] })
		now.replaceChildren(...atMoment(report))
	})
	s.body.append(chart.node, now)
	return s.node
}
