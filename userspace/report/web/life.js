// life.js - how long objects live, how large they are, and which thread frees what another has made.
import { axis, bytesAxis, colour, makeChart } from './charts.js'
import { bytesEl, el, hover, note, section } from './dom.js'
import * as format from './format.js'
import { chosen, onChange } from './store.js'

const THREADS_SHOWN = 16

// ---- lifetimes ----

function lifetimes(report) {
	const ends = report.doc.lifetime_ends_ns
	const sums = new Array(ends.length + 1).fill(0)
	for (const stack of report.stacks) stack.lifetimes.forEach((n, i) => (sums[i] += n))
	const last = sums.findLastIndex((n) => n > 0)
	return sums
		.slice(0, Math.max(1, last + 1))
		.map((n, i) => ({ n, name: i < ends.length ? `≤ ${format.duration(ends[i])}` : 'longer' }))
}

function lifetimeOption(rows) {
	const all = rows.reduce((sum, r) => sum + r.n, 0)
	return {
		grid: { left: 60, right: 12, top: 12, bottom: 58 },
		xAxis: axis({
			type: 'category',
			data: rows.map((r) => r.name),
			splitLine: { show: false },
			axisLabel: { rotate: 40, interval: 0 },
		}),
		yAxis: axis({ type: 'value', axisLabel: { formatter: format.count } }),
		tooltip: {
			formatter: (p) =>
				hover(rows[p.dataIndex].name, [
					['objects', format.exact(rows[p.dataIndex].n)],
					['of all that were freed', format.percent(rows[p.dataIndex].n, all)],
				]),
		},
		series: [{ type: 'bar', barWidth: '92%', color: colour('green'), data: rows.map((r) => r.n) }],
	}
}

// ---- sizes ----

function sizeRows(report) {
	const live = report.doc.moments.sizes_live_bytes ?? []
	return report.doc.sizes.map((s, i) => ({ ...s, now: live[i]?.[chosen('moment')] ?? 0 }))
}

function sizeOption(report) {
	const rows = sizeRows(report)
	const name = (s) => format.bytes(s.to)
	return {
		grid: { left: 74, right: 12, top: 34, bottom: 58 },
		legend: {},
		xAxis: axis({ type: 'category', data: rows.map(name), splitLine: { show: false }, axisLabel: { rotate: 40 } }),
		yAxis: bytesAxis(Math.max(0, ...rows.map((s) => Math.max(s.now, s.peak_live_bytes)))),
		tooltip: {
			trigger: 'axis',
			axisPointer: { type: 'shadow' },
			formatter: (params) => {
				const s = rows[params[0].dataIndex]
				return hover(`${format.exact(s.from)} - ${format.exact(s.to)} bytes`, [
					['live now', format.bytes(s.now), colour('blue')],
					[
						'at most',
						`${format.bytes(s.peak_live_bytes)} at ${format.time(s.peak_ns)}`,
						colour('faint'),
					],
					['allocated', format.bytes(s.allocated_bytes)],
					['calls', format.exact(s.allocations)],
				])
			},
		},
		series: [
			{
				name: 'at most',
				type: 'bar',
				barGap: '-100%',
				color: colour('faint'),
				data: rows.map((s) => s.peak_live_bytes),
			},
			{ name: 'live at the chosen moment', type: 'bar', color: colour('blue'), data: rows.map((s) => s.now) },
		],
	}
}

// ---- threads ----

// The threads with most in such frees; the others are told in one sentence.
function busiest(report) {
	const sums = new Map()
	for (const p of report.doc.freed_by_others)
		for (const tid of [p.owner, p.freer]) sums.set(tid, (sums.get(tid) ?? 0) + p.bytes)
	return [...sums].sort((a, b) => b[1] - a[1]).map(([tid]) => tid)
}

function matrixCell(pair, most) {
	if (!pair) return el('td', {})
	const cell = el(
		'td',
		{
			class: 'heat number',
			title:
				`${format.exact(pair.objects)} objects, ${format.exactBytes(pair.bytes)}; ` +
				`${format.bytes(pair.owner_silent_bytes)} of it while the owner was silent, for at most ${format.duration(pair.longest_silence_ns)}`,
		},
		bytesEl(pair.bytes),
	)
	cell.style.setProperty('--heat', `${Math.round(5 + 55 * Math.sqrt(pair.bytes / most))}%`)
	return cell
}

function matrix(report) {
	const order = busiest(report)
	const shown = order.slice(0, THREADS_SHOWN)
	const pairs = new Map(report.doc.freed_by_others.map((p) => [`${p.owner} ${p.freer}`, p]))
	const most = Math.max(1, ...report.doc.freed_by_others.map((p) => p.bytes))
	const name = (tid) => report.threads.get(tid) ?? `thread ${tid}`
	const head = el(
		'tr',
		{},
		el('th', {}, 'made by \\ freed by'),
		shown.map((tid) => el('th', { scope: 'col' }, name(tid))),
	)
	const rows = shown.map((owner) =>
		el(
			'tr',
			{},
			el('th', { scope: 'row' }, name(owner)),
			shown.map((freer) => matrixCell(pairs.get(`${owner} ${freer}`), most)),
		),
	)
	return [
		el(
			'div',
			{ class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Who frees whose objects' },
			el('table', { class: 'matrix' }, el('thead', {}, head), el('tbody', {}, rows)),
		),
		order.length > shown.length ? note(`${order.length - shown.length} more threads free or made less.`) : null,
	].filter(Boolean)
}

function panel(title, about, ...children) {
	return el('div', { class: 'panel' }, el('h3', {}, title), el('p', { class: 'about' }, about), children)
}

export function lifeSection(report) {
	const s = section('life', 'Lifetimes, sizes and threads')
	const rows = lifetimes(report)
	const lives = makeChart('lifetimes', 'How many objects lived how long', 250, () => lifetimeOption(rows))
	const sizes = makeChart('sizes', 'Live bytes by requested size', 250, () => sizeOption(report))
	onChange('moment', sizes.draw)
	const freed = report.doc.freed_by_others.length
	s.body.append(
		el(
			'div',
			{ class: 'two' },
			panel(
				'Lifetimes',
				'Of all objects that were freed, over the whole recording.',
				rows.some((r) => r.n) ? lives.node : note('Nothing was freed.'),
			),
			panel(
				'Requested sizes',
				'What lives of each size at the chosen moment, before the most that did.',
				report.doc.sizes.length ? sizes.node : note('Nothing was allocated.'),
			),
		),
		panel(
			'Objects that another thread frees',
			'Bytes over the whole recording; a hover tells how much while the owner made no calls.',
			freed ? matrix(report) : note('Each thread freed only what it had made.'),
		),
	)
	return s.node
}
