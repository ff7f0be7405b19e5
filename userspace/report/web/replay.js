// replay.js - the same calls under several allocators: memory over time, splits side by side, times, and what that means.
import { axis, bytesAxis, colour, makeChart, momentLine, seriesColour, timeAxis, zoom } from './charts.js'
import { bytesEl, countEl, el, hover, note, section, swatch } from './dom.js'
import * as format from './format.js'
import { chosen, onChange } from './store.js'

const PARTS = [['requested', 'blue'], ['internal', 'green'], ['holes', 'orange'], ['retained', 'yellow'], ['metadata', 'purple']]
const QUANTILES = [['p50', 0.5, 'median'], ['p99', 0.01, '99 %'], ['p99_9', 0.001, '99.9 %'], ['max', 1e-5, 'longest']]
const METRICS = [['peak_resident', 'memory at its peak'], ['end_resident', 'memory at the end'], ['wall_ns', 'time'], ['cpu_ns', 'CPU time'], ['page_faults', 'page faults']]
const DASHES = ['solid', 'dashed', 'dotted']

// A library given by its path goes by its file's name.
const nameOf = (r) => r.allocator.label.replace(/^[^,]*\//, '')
const label = (r) => nameOf(r) + (r.recorded ? ' *' : '')

// ---- words ----

// One sentence an allocator: what is really different, and from what.
function verdict(r) {
	if (r.error) return `${nameOf(r)} did not come through: ${r.error.text}`
	const v = r.verdicts
	const against = v.against.replace(/^[^,]*\//, '')
	if (METRICS.every(([key]) => v[key].verdict === 'reference')) return `${nameOf(r)} is what the others are compared with.`
	const differs = METRICS.filter(([key]) => v[key].verdict === 'differs').map(([key, name]) =>
		`${format.signedPercent(v[key].difference)} ${name}${v[key].p === null ? '' : ` (p = ${v[key].p.toPrecision(2)})`}`)
	if (differs.length) return `${nameOf(r)} differs from ${against}: ${differs.join(', ')}.`
	if (METRICS.some(([key]) => v[key].verdict === 'too few runs'))
		return `${nameOf(r)}: ${format.signedPercent(v.peak_resident.difference)} ${METRICS[0][1]}, ${format.signedPercent(v.wall_ns.difference)} time against ${against}; too few runs to tell that from chance (replay --repeat 5).`
	return `${nameOf(r)}: no difference from ${against} shows.`
}

// Which needs least, whatever chance has to do with it.
function least(good) {
	const order = [...good].sort((a, b) => a.peak_resident - b.peak_resident)
	const [first, last] = [order[0], order[order.length - 1]]
	if (order.length < 2 || first.peak_resident === last.peak_resident) return null
	return el('p', {}, el('strong', {}, `${nameOf(first)} needs the least memory at its peak, ${format.bytes(first.peak_resident)}: `
		+ `${((100 * (last.peak_resident - first.peak_resident)) / last.peak_resident).toFixed(0)} % less than ${nameOf(last)} with ${format.bytes(last.peak_resident)}.`))
}

function fidelity(results) {
	const r = results.find((one) => one.fidelity)
	if (!r) return note('How true the replay is can be told only where the recorded allocator is among those replayed, and the tape has the process\u2019s memory.')
	return el('p', { id: 'fidelity' }, `Replayed with ${nameOf(r)}, memory follows the recorded process within ${(100 * r.fidelity.mean).toFixed(1)} % (mean), `
		+ `${format.signedPercent(r.fidelity.worst)} (worst, at ${format.time(r.fidelity.worst_ns)}).`)
}

// ---- charts ----

// The recorded process's anonymous memory, less what it held around its allocator: what the curves can be held against.
const RECORDED = 'recorded, less what is around the allocator'
function recordedCurve(replay, good) {
	const around = new Map((good[0]?.timeline ?? []).map((p) => [p.ns, p.process === undefined ? 0 : p.process - p.resident]))
	return replay.recorded_anon.map((p) => [p.ns, Math.max(0, p.anon - (around.get(p.ns) ?? 0))])
}

function curves(report, replay, good) {
	const series = good.map((r, i) => ({ name: label(r), type: 'line', showSymbol: false, color: seriesColour(i),
		lineStyle: { width: 2, type: DASHES[Math.floor(i / 8) % 3] }, data: r.timeline.map((p) => [p.ns, p.resident]) }))
	series.push({ name: 'live objects', type: 'line', showSymbol: false, color: colour('muted'), lineStyle: { width: 1.5, type: 'dotted' }, data: (good[0]?.timeline ?? []).map((p) => [p.ns, p.live]) })
	const recorded = recordedCurve(replay, good)
	if (recorded.length) series.push({ name: RECORDED, type: 'line', showSymbol: false, color: colour('text'), lineStyle: { width: 1.5, type: 'dashed' }, data: recorded })
	series[0].markLine = momentLine(report.moments[chosen('moment')].ns)
	return series
}

function curvesOption(report, replay, good) {
	const list = curves(report, replay, good)
	const most = Math.max(...list.flatMap((s) => s.data.map((p) => p[1])))
	return {
		grid: { left: 74, right: 16, top: 44, bottom: 58 },
		legend: {}, xAxis: timeAxis(report.summary), yAxis: bytesAxis(most), dataZoom: zoom(6),
		tooltip: { trigger: 'axis', axisPointer: { type: 'line', lineStyle: { color: colour('muted') } },
			formatter: (params) => hover(format.time(params[0].axisValue), params.map((p) => [p.seriesName, `${format.bytes(p.value[1])} (${format.exact(p.value[1])})`, p.color])) },
		series: list,
	}
}

function splitOption(good, which) {
	return {
		grid: { left: 130, right: 24, top: 34, bottom: 28 },
		legend: {},
		xAxis: bytesAxis(Math.max(...good.map((r) => PARTS.reduce((sum, [key]) => sum + (r[which][key] ?? 0), 0)))),
		yAxis: axis({ type: 'category', inverse: true, data: good.map(label), axisLabel: { width: 116, overflow: 'truncate' }, splitLine: { show: false } }),
		tooltip: { trigger: 'axis', axisPointer: { type: 'shadow' }, formatter: (params) => hover(params[0].name, [...params.map((p) =>
			[p.seriesName, `${format.bytes(p.value)} (${format.exact(p.value)})`, p.color]), ['resident', format.bytes(good[params[0].dataIndex][which].resident)]]) },
		series: PARTS.map(([key, c]) => ({ name: key, type: 'bar', stack: 'split', barMaxWidth: 26, color: colour(c), data: good.map((r) => r[which][key] ?? 0) })),
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
function latencyOption(good, call) {
	const timed = good.filter((r) => r.latency_ns)
	const series = timed.map((r) => ({ name: label(r), type: 'line', showSymbol: false, step: 'end', color: seriesColour(good.indexOf(r)), lineStyle: { width: 2 }, data: tail(r, call) }))
	const xs = series.flatMap((s) => s.data.map((p) => p[0]))
	return {
		grid: { left: 66, right: 16, top: 48, bottom: 28 },
		legend: {},
		xAxis: axis({ type: 'log', min: Math.min(...xs), max: Math.max(...xs), axisLabel: { formatter: format.duration } }),
		yAxis: axis({ type: 'log', max: 1, axisLabel: { formatter: (v) => `${Number((100 * v).toPrecision(2))} %` } }),
		tooltip: { trigger: 'axis', axisPointer: { type: 'line', lineStyle: { color: colour('muted') } }, formatter: (params) => hover(`${call} longer than ${format.duration(params[0].axisValue)}`,
			params.map((p) => [p.seriesName, `${(100 * p.value[1]).toPrecision(2)} % of calls`, p.color])) },
		series,
	}
}

function latencyTable(good, call) {
	const head = ['', ...QUANTILES.map(([, , name]) => name)]
	return el('div', { class: 'scroll' }, el('table', { class: 'rows quantiles' }, el('thead', {}, el('tr', {}, head.map((h, i) => el('th', { scope: 'col', class: i ? 'number' : '' }, h)))),
		el('tbody', {}, good.filter((r) => r.latency_ns).map((r) => el('tr', {}, el('th', { scope: 'row' }, label(r)), QUANTILES.map(([q]) => el('td', { class: 'number' }, format.duration(r.latency_ns[call][q]))))))))
}

// ---- the section ----

function table(results) {
	const head = ['allocator', 'peak', 'at the end', 'requested', 'internal', 'holes', 'retained', 'metadata', 'time', 'CPU', 'faults']
	const rows = results.map((r, i) => el('tr', {}, el('th', { scope: 'row', title: r.allocator.path }, swatch(`var(--${['blue', 'orange', 'green', 'purple', 'sky', 'red', 'yellow', 'grey'][i % 8]})`), label(r)),
		r.error ? el('td', { colspan: 10 }, r.error.text) : [bytesEl(r.peak_resident), bytesEl(r.end_resident),
			...PARTS.map(([key]) => (r.end_split[key] === null ? 'not known' : bytesEl(r.end_split[key]))), format.duration(r.wall_ns), format.duration(r.cpu_ns), countEl(r.page_faults)]
			.map((value) => el('td', { class: 'number' }, value))))
	return el('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Figures of the replay' },
		el('table', { class: 'rows' }, el('thead', {}, el('tr', {}, head.map((h, i) => el('th', { scope: 'col', class: i ? 'number' : '' }, h)))), el('tbody', {}, rows)))
}

function charts(report, replay, good) {
	const lines = makeChart('replay', 'Resident memory of each allocator over time', 320, () => curvesOption(report, replay, good))
	onChange('moment', lines.draw)
	const height = 70 + 34 * good.length
	const splits = ['peak_split', 'end_split'].map((which) => makeChart(which, `The split at the ${which === 'peak_split' ? 'peak' : 'end'}`, height, () => splitOption(good, which)))
	const timed = good.some((r) => r.latency_ns)
	const latencies = timed ? ['malloc', 'free', 'realloc'].filter((call) => good.some((r) => r.latency_ns?.[call].max)).map((call) => [call, makeChart(`latency_${call}`, `Share of ${call} calls that take longer than a time`, 230, () => latencyOption(good, call))]) : []
	return [el('h3', {}, 'Resident memory over time'), lines.node,
		el('div', { class: 'two' }, el('div', {}, el('h3', {}, 'Split at the peak'), splits[0].node), el('div', {}, el('h3', {}, 'Split at the end'), splits[1].node)),
		timed ? el('div', { class: 'three' }, latencies.map(([call, chart]) => el('div', {}, el('h3', {}, `${call}: calls that take longer than`), chart.node, latencyTable(good, call))))
			: note('How long calls take is known when they are timed: replay --latency on.')]
}

export function replaySection(report) {
	const replay = report.doc.replay
	if (!replay) return null
	const s = section('replay', 'The same calls under other allocators', `${replay.tape}, played back with order ${replay.order}, pace ${replay.pace}, clock ${replay.clock}, touch ${replay.touch}, ${replay.repeat} timed run${replay.repeat === 1 ? '' : 's'} each; * is the recorded allocator.`)
	const good = replay.results.filter((r) => !r.error)
	const warnings = [...new Set([...replay.warnings, ...replay.results.flatMap((r) => r.warnings)])]
	s.body.append(least(good) ?? '', el('ul', { class: 'verdicts' }, replay.results.map((r) => el('li', {}, verdict(r)))), fidelity(good), table(replay.results),
		...(good.length ? charts(report, replay, good).flat() : []),
		warnings.length ? el('details', {}, el('summary', {}, `${warnings.length} thing${warnings.length === 1 ? '' : 's'} to know`), el('ul', {}, warnings.map((w) => el('li', {}, w)))) : '')
	return s.node
}
