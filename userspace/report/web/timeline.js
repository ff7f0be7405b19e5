// timeline.js - memory and calls over time. A click chooses the moment that everything below is about.
import { axis, bytesAxis, colour, makeChart, momentLine, onTime, timeAxis, zoom } from './charts.js'
import { el, hover, section } from './dom.js'
import * as format from './format.js'
import { choose, chosen, onChange } from './store.js'

const LINES = [
	['live_bytes', 'live objects', 'blue'],
	['heap', 'heap in memory', 'orange'],
	['rss_anon', 'anonymous memory (kernel)', 'grey'],
]

const valueOf = (p, key) => (key === 'heap' ? p.resident + p.unknown : p[key])

function lines(report) {
	return LINES.filter(([key]) => report.summary.has_pages || key !== 'heap').filter(([key]) =>
		report.timeline.some((p) => valueOf(p, key)),
	)
}

function series(report) {
	const moment = report.moments[chosen('moment')]
	const list = lines(report).map(([key, name, c]) => ({
		name,
		type: 'line',
		showSymbol: false,
		step: key === 'rss_anon' ? 'end' : false,
		color: colour(c),
		lineStyle: { width: key === 'rss_anon' ? 1.5 : 2, type: key === 'rss_anon' ? 'dashed' : 'solid' },
		areaStyle: key === 'live_bytes' ? { opacity: 0.12 } : undefined,
		data: report.timeline.map((p) => [p.ns, valueOf(p, key)]),
	}))
	if (!list.length)
		list.push({ name: 'live objects', type: 'line', showSymbol: false, data: report.timeline.map((p) => [p.ns, 0]) })
	list[0].markLine = momentLine(moment.ns)
	list.push({
		name: 'calls',
		type: 'bar',
		xAxisIndex: 1,
		yAxisIndex: 1,
		color: colour('sky'),
		barWidth: '90%',
		barMinWidth: 1,
		data: report.timeline.map((p) => [p.ns, p.allocations + p.frees]),
	})
	list.push({
		name: 'moments',
		type: 'scatter',
		symbol: 'triangle',
		symbolSize: 8,
		silent: true,
		color: colour('muted'),
		data: report.moments.map((m) => [m.ns, 0]),
		z: 5,
	})
	return list
}

function tip(report, at) {
	const p = report.timeline.reduce((a, b) => (Math.abs(b.ns - at) < Math.abs(a.ns - at) ? b : a))
	const rows = lines(report).map(([key, name, c]) => [
		name,
		valueOf(p, key) === null ? 'not known' : `${format.bytes(valueOf(p, key))} (${format.exact(valueOf(p, key))})`,
		colour(c),
	])
	return hover(format.time(p.ns), [
		...rows,
		['allocations', format.exact(p.allocations), colour('sky')],
		['frees', format.exact(p.frees)],
		['allocated', format.bytes(p.allocated_bytes)],
		['threads', format.exact(p.threads)],
	])
}

function option(report) {
	const most = Math.max(...report.timeline.map((p) => Math.max(...LINES.map(([key]) => valueOf(p, key) ?? 0))))
	const grid = { left: 74, right: 16 }
	return {
		grid: [
			{ ...grid, top: 34, height: 200 },
			{ ...grid, top: 262, height: 54 },
		],
		xAxis: [timeAxis(report.summary, { axisLabel: { show: false } }), timeAxis(report.summary, { gridIndex: 1 })],
		yAxis: [
			bytesAxis(most),
			axis({ type: 'value', gridIndex: 1, splitNumber: 1, axisLabel: { formatter: format.count } }),
		],
		dataZoom: zoom(4).map((z) => ({ ...z, xAxisIndex: [0, 1] })),
		legend: { data: [...lines(report).map(([, name]) => name), 'calls'] },
		tooltip: {
			trigger: 'axis',
			axisPointer: { type: 'line', lineStyle: { color: colour('muted') } },
			formatter: (params) => tip(report, params[0].axisValue),
		},
		series: series(report),
	}
}

// Half as much of the time as now, around the chosen moment; or all of it.
function zoomTo(chart, report, half) {
	const { start, end } = chart.getOption().dataZoom[0]
	const { first_ns, last_ns } = report.summary
	const middle = (100 * (report.moments[chosen('moment')].ns - first_ns)) / Math.max(1, last_ns - first_ns)
	const width = half ? Math.max(1, (end - start) / 2) : 100
	const from = half ? Math.min(100 - width, Math.max(0, middle - width / 2)) : 0
	chart.dispatchAction({ type: 'dataZoom', start: from, end: from + width })
}

export function timelineSection(report) {
	const s = section(
		'timeline',
		'Time line',
		'A click chooses a moment for all that follows; triangles are those that were looked at closely. Zoom by the buttons, the handles below, or Ctrl and the wheel.',
	)
	const chart = makeChart('timeline', 'Live objects, resident memory and calls over time', 366, () => option(report))
	chart.started((c) => onTime(c, (ns) => choose('moment', report.nearestMoment(ns))))
	onChange('moment', () =>
		chart.get()?.setOption({ series: [{ markLine: momentLine(report.moments[chosen('moment')].ns) }] }),
	)
	s.body.append(
		el(
			'div',
			{ class: 'tools' },
			el('button', { type: 'button', click: () => zoomTo(chart.get(), report, true) }, 'Zoom in'),
			el('button', { type: 'button', click: () => zoomTo(chart.get(), report, false) }, 'All of it'),
		),
		chart.node,
	)
	return s.node
}
