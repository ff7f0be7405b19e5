// replay.js - the same calls under several allocators, side by side, and what that means.
import { makeChart, SERIES } from './charts.js'
import { bytesEl, countEl, el, note, section, swatch } from './dom.js'
import * as format from './format.js'
import { curvesOption, label, latencyOption, latencyTable, nameOf, PARTS, splitOption } from './replay_charts.js'
import { onChange } from './store.js'

const METRICS = [
	['peak_resident', 'memory at its peak'],
	['end_resident', 'memory at the end'],
	['wall_ns', 'time'],
	['cpu_ns', 'CPU time'],
	['page_faults', 'page faults'],
]

// ---- words ----

// One sentence an allocator: what is really different, and from what.
function verdict(r) {
	if (r.error) return `${nameOf(r)} did not come through: ${r.error.text}`
	const v = r.verdicts
	const against = v.against.replace(/^[^,]*\//, '')
	if (METRICS.every(([key]) => v[key].verdict === 'reference')) return `${nameOf(r)} is what the others are compared with.`
	const differs = METRICS.filter(([key]) => v[key].verdict === 'differs').map(
		([key, name]) =>
			`${format.signedPercent(v[key].difference)} ${name}${v[key].p === null ? '' : ` (p = ${v[key].p.toPrecision(2)})`}`,
	)
	if (differs.length) return `${nameOf(r)} differs from ${against}: ${differs.join(', ')}.`
	const [peak, time] = [v.peak_resident, v.wall_ns].map((one) => format.signedPercent(one.difference))
	if (METRICS.some(([key]) => v[key].verdict === 'too few runs'))
		return (
			`${nameOf(r)}: ${peak} memory at its peak, ${time} time against ${against}; ` +
			'too few runs to tell that from chance (replay --repeat 5).'
		)
	return `${nameOf(r)}: no difference from ${against} shows.`
}

// Which needs least, whatever chance has to do with it.
function least(good) {
	const order = [...good].sort((a, b) => a.peak_resident - b.peak_resident)
	const [first, last] = [order[0], order[order.length - 1]]
	if (order.length < 2 || first.peak_resident === last.peak_resident) return null
	return el(
		'p',
		{},
		el(
			'strong',
			{},
			`${nameOf(first)} needs the least memory at its peak, ${format.bytes(first.peak_resident)}: ` +
				`${((100 * (last.peak_resident - first.peak_resident)) / last.peak_resident).toFixed(0)} % less than ${nameOf(last)} with ${format.bytes(last.peak_resident)}.`,
		),
	)
}

function fidelity(results) {
	const r = results.find((one) => one.fidelity)
	if (!r)
		return note(
			'How true the replay is can be told only where the recorded allocator is among those replayed, and the tape has the process\u2019s memory.',
		)
	return el(
		'p',
		{ id: 'fidelity' },
		`Replayed with ${nameOf(r)}, memory follows the recorded process within ${(100 * r.fidelity.mean).toFixed(1)} % (mean), ` +
			`${format.signedPercent(r.fidelity.worst)} (worst, at ${format.time(r.fidelity.worst_ns)}).`,
	)
}

// ---- the section ----

function table(results) {
	const good = results.filter((r) => !r.error) // the others have no curve, and no colour
	const head = [
		'allocator',
		'peak',
		'at the end',
		'requested',
		'internal',
		'holes',
		'retained',
		'metadata',
		'time',
		'CPU',
		'faults',
	]
	const rows = results.map((r) =>
		el(
			'tr',
			{},
			el(
				'th',
				{ scope: 'row', title: r.allocator.path },
				r.error ? null : swatch(`var(--${SERIES[good.indexOf(r) % SERIES.length]})`),
				label(r),
			),
			r.error
				? el('td', { colspan: 10 }, r.error.text)
				: [
						bytesEl(r.peak_resident),
						bytesEl(r.end_resident),
						...PARTS.map(([key]) =>
							r.end_split[key] === null ? 'not known' : bytesEl(r.end_split[key]),
						),
						format.duration(r.wall_ns),
						format.duration(r.cpu_ns),
						countEl(r.page_faults),
					].map((value) => el('td', { class: 'number' }, value)),
		),
	)
	return el(
		'div',
		{ class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Figures of the replay' },
		el(
			'table',
			{ class: 'rows' },
			el(
				'thead',
				{},
				el(
					'tr',
					{},
					head.map((h, i) => el('th', { scope: 'col', class: i ? 'number' : '' }, h)),
				),
			),
			el('tbody', {}, rows),
		),
	)
}

function charts(report, replay, good) {
	const lines = makeChart('replay', 'Resident memory of each allocator over time', 320, () =>
		curvesOption(report, replay, good),
	)
	onChange('moment', lines.draw)
	const height = 70 + 34 * good.length
	const splits = ['peak_split', 'end_split'].map((which) =>
		makeChart(which, `The split at the ${which === 'peak_split' ? 'peak' : 'end'}`, height, () =>
			splitOption(good, which),
		),
	)
	const timed = good.some((r) => r.latency_ns)
	const latencies = timed
		? ['malloc', 'free', 'realloc']
				.filter((call) => good.some((r) => r.latency_ns?.[call].max))
				.map((call) => [
					call,
					makeChart(
						`latency_${call}`,
						`Share of ${call} calls that take longer than a time`,
						230,
						() => latencyOption(good, call),
					),
				])
		: []
	return [
		el('h3', {}, 'Resident memory over time'),
		lines.node,
		el(
			'div',
			{ class: 'two' },
			el('div', {}, el('h3', {}, 'Split at the peak'), splits[0].node),
			el('div', {}, el('h3', {}, 'Split at the end'), splits[1].node),
		),
		timed
			? el(
					'div',
					{ class: 'three' },
					latencies.map(([call, chart]) =>
						el(
							'div',
							{},
							el('h3', {}, `${call}: calls that take longer than`),
							chart.node,
							latencyTable(good, call),
						),
					),
				)
			: note('How long calls take is known when they are timed: replay --latency on.'),
	]
}

export function replaySection(report) {
	const replay = report.doc.replay
	if (!replay) return null
	const s = section(
		'replay',
		'The same calls under other allocators',
		`${replay.tape}, played back with order ${replay.order}, pace ${replay.pace}, clock ${replay.clock}, touch ${replay.touch}, ${replay.repeat} timed run${replay.repeat === 1 ? '' : 's'} each; * is the recorded allocator.`,
	)
	const good = replay.results.filter((r) => !r.error)
	const warnings = [...new Set([...replay.warnings, ...replay.results.flatMap((r) => r.warnings)])]
	s.body.append(
		least(good) ?? '',
		el(
			'ul',
			{ class: 'verdicts' },
			replay.results.map((r) => el('li', {}, verdict(r))),
		),
		fidelity(good),
		table(replay.results),
		...(good.length ? charts(report, replay, good).flat() : []),
		warnings.length
			? el(
					'details',
					{},
					el('summary', {}, `${warnings.length} thing${warnings.length === 1 ? '' : 's'} to know`),
					el(
						'ul',
						{},
						warnings.map((w) => el('li', {}, w)),
					),
				)
			: '',
	)
	return s.node
}
