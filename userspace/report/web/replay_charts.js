// replay_charts.js - what the charts of a replay show: memory over time, splits side by side, how long calls take.
import { axis, bytesAxis, colour, momentLine, seriesColour, timeAxis, zoom } from './charts.js'
import { el, hover } from './dom.js'
import * as format from './format.js'
import { chosen } from './store.js'

export const PARTS = [
	['requested', 'blue'],
	['internal', 'green'],
	['holes', 'orange'],
	['retained', 'yellow'],
	['metadata', 'purple'],
]
export const QUANTILES = [
	['p50', 0.5, 'median'],
	['p99', 0.01, '99 %'],
	['p99_9', 0.001, '99.9 %'],
	['max', 1e-5, 'longest'],
]
const DASHES = ['solid', 'dashed', 'dotted']

// A library given by its path goes by its file's name.
export const nameOf = (r) => r.allocator.label.replace(/^[^,]*\//, '')
export const label = (r) => nameOf(r) + (r.recorded ? ' *' : '')

// The recorded process's anonymous memory, less what it held around its allocator: what the curves can be held against.
const RECORDED = 'recorded, less what is around the allocator'
function recordedCurve(replay, good) {
	const around = new Map((good[0]?.timeline ?? []).map((p) => [p.ns, p.process === undefined ? 0 : p.process - p.resident]))
	return replay.recorded_anon.map((p) => [p.ns, Math.max(0, p.anon - (around.get(p.ns) ?? 0))])
}

function curves(report, replay, good) {
	const series = good.map((r, i) => ({
		name: label(r),
		type: 'line',
		showSymbol: false,
		color: seriesColour(i),
		lineStyle: { width: 2, type: DASHES[Math.floor(i / 8) % 3] },
		data: r.timeline.map((p) => [p.ns, p.resident]),
	}))
	series.push({
		name: 'live objects',
		type: 'line',
		showSymbol: false,
		color: colour('muted'),
		lineStyle: { width: 1.5, type: 'dotted' },
		data: (good[0]?.timeline ?? []).map((p) => [p.ns, p.live]),
	})
	const recorded = recordedCurve(replay, good)
	if (recorded.length)
		series.push({
			name: RECORDED,
			type: 'line',
			showSymbol: false,
			color: colour('text'),
			lineStyle: { width: 1.5, type: 'dashed' },
			data: recorded,
		})
	series[0].markLine = momentLine(report.moments[chosen('moment')].ns)
	return series
}

export function curvesOption(report, replay, good) {
	const list = curves(report, replay, good)
	const most = Math.max(...list.flatMap((s) => s.data.map((p) => p[1])))
	return {
		grid: { left: 74, right: 16, top: 44, bottom: 58 },
		legend: {},
		xAxis: timeAxis(report.summary),
		yAxis: bytesAxis(most),
		dataZoom: zoom(6),
		tooltip: {
			trigger: 'axis',
			axisPointer: { type: 'line', lineStyle: { color: colour('muted') } },
			formatter: (params) =>
				hover(
					format.time(params[0].axisValue),
					params.map((p) => [
						p.seriesName,
						`${format.bytes(p.value[1])} (${format.exact(p.value[1])})`,
						p.color,
					]),
				),
		},
		series: list,
	}
}

export function splitOption(good, which) {
	return {
		grid: { left: 130, right: 24, top: 34, bottom: 28 },
		legend: {},
		xAxis: bytesAxis(Math.max(...good.map((r) => PARTS.reduce((sum, [key]) => sum + (r[which][key] ?? 0), 0)))),
		yAxis: axis({
			type: 'category',
			inverse: true,
			data: good.map(label),
			axisLabel: { width: 116, overflow: 'truncate' },
			splitLine: { show: false },
		}),
		tooltip: {
			trigger: 'axis',
			axisPointer: { type: 'shadow' },
			formatter: (params) =>
				hover(params[0].name, [
					...params.map((p) => [
						p.seriesName,
						`${format.bytes(p.value)} (${format.exact(p.value)})`,
						p.color,
					]),
					['resident', format.bytes(good[params[0].dataIndex][which].resident)],
				]),
		},
		series: PARTS.map(([key, c]) => ({
			name: key,
			type: 'bar',
			stack: 'split',
			barMaxWidth: 26,
			color: colour(c),
			data: good.map((r) => r[which][key] ?? 0),
		})),
	}
}

// [ns, share of the calls that take longer]. A result without a histogram has four points of it.
function tail(r, call) {
	const buckets = r.latency_histogram?.[call]
	if (!buckets) return QUANTILES.map(([q, share]) => [Math.max(1, r.latency_ns[call][q]), share])
	const all = buckets.reduce((sum, [, n]) => sum + n, 0)
	let left = all
	const points = buckets.map(([ns, n]) => [Math.max(1, ns), (left -= n) / all])
	if (points.length) points[points.length - 1][1] = 1 / all / 2 // the longest: none takes longer, and a logarithm knows no 0
	return points
}

// Both scales are logarithmic: one call of a thousand may take a thousand times as long, and that is what is looked for.
export function latencyOption(good, call) {
	const timed = good.filter((r) => r.latency_ns)
	const series = timed.map((r) => ({
		name: label(r),
		type: 'line',
		showSymbol: false,
		step: 'end',
		color: seriesColour(good.indexOf(r)),
		lineStyle: { width: 2 },
		data: tail(r, call),
	}))
	const xs = series.flatMap((s) => s.data.map((p) => p[0]))
	return {
		grid: { left: 66, right: 16, top: 48, bottom: 28 },
		legend: {},
		xAxis: axis({
			type: 'log',
			min: Math.min(...xs),
			max: Math.max(...xs),
			axisLabel: { formatter: format.duration },
		}),
		yAxis: axis({ type: 'log', max: 1, axisLabel: { formatter: (v) => `${Number((100 * v).toPrecision(2))} %` } }),
		tooltip: {
			trigger: 'axis',
			axisPointer: { type: 'line', lineStyle: { color: colour('muted') } },
			formatter: (params) =>
				hover(
					`${call} longer than ${format.duration(params[0].axisValue)}`,
					params.map((p) => [
						p.seriesName,
						`${(100 * p.value[1]).toPrecision(2)} % of calls`,
						p.color,
					]),
				),
		},
		series,
	}
}

export function latencyTable(good, call) {
	const head = ['', ...QUANTILES.map(([, , name]) => name)]
	return el(
		'div',
		{ class: 'scroll' },
		el(
			'table',
			{ class: 'rows quantiles' },
			el(
				'thead',
				{},
				el(
					'tr',
					{},
					head.map((h, i) => el('th', { scope: 'col', class: i ? 'number' : '' }, h)),
				),
			),
			el(
				'tbody',
				{},
				good
					.filter((r) => r.latency_ns)
					.map((r) =>
						el(
							'tr',
							{},
							el('th', { scope: 'row' }, label(r)),
							QUANTILES.map(([q]) =>
								el(
									'td',
									{ class: 'number' },
									format.duration(r.latency_ns[call][q]),
								),
							),
						),
					),
			),
		),
	)
}
