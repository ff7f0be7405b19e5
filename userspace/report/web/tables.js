// tables.js - stacks, sizes and threads in numbers, at the chosen moment where they have one.
import { bytesEl, choice, countEl, el, section } from './dom.js'
import * as format from './format.js'
import { chosen, onChange } from './store.js'
import { Table } from './table.js'

function number(key, label, value, show, title) {
	return { key, label, value, show: (row) => show(value(row)), number: true, title }
}

// Live bytes over the moments, as a line as high as the text.
function sparkline(report, stack) {
	const values = report.moments.map((m) => report.figure(stack, 'live_bytes', m.index))
	const most = Math.max(1, ...values)
	const points = values.map((v, i) => `${(i * 240) / Math.max(1, values.length - 1)},${38 - (v * 36) / most}`).join(' ')
	const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
	const line = document.createElementNS('http://www.w3.org/2000/svg', 'polyline')
	svg.setAttribute('viewBox', '0 0 240 40')
	svg.setAttribute('class', 'spark')
	svg.setAttribute('role', 'img')
	svg.setAttribute('aria-label', `Live bytes over time, at most ${format.bytes(most)}`)
	line.setAttribute('points', points)
	svg.append(line)
	return svg
}

function stackDetail(report, stack) {
	const lines = stack.frames.map((f, i) =>
		el(
			'li',
			{ class: i < stack.allocator_frames ? 'allocator' : '' },
			el('code', {}, f.function),
			f.file
				? el('span', { class: 'where' }, ` ${f.file}${f.line ? `:${f.line}` : ''}`)
				: el('span', { class: 'where' }, ` ${f.module}`),
		),
	)
	const sums = el(
		'p',
		{},
		'Over the recording: ',
		countEl(stack.allocations),
		stack.allocations === 1 ? ' allocation of ' : ' allocations of ',
		bytesEl(stack.allocated_bytes),
		', ',
		countEl(stack.frees),
		' freed, ',
		countEl(stack.temporary),
		' of them within a millisecond; ',
		bytesEl(stack.freed_by_others_bytes),
		' by another thread.',
	)
	return el('div', { class: 'stack-detail' }, el('div', {}, sparkline(report, stack), sums), el('ol', {}, lines))
}

function stackTable(report) {
	const at = (key) => (s) => report.figure(s, key, chosen('moment'))
	const columns = [
		number('live_bytes', 'Live', at('live_bytes'), bytesEl, 'at the chosen moment'),
		number('live', 'Objects', at('live'), countEl, 'that live at the chosen moment'),
		number('pinned_bytes', 'Pinned', at('pinned_bytes'), bytesEl, 'resident pages on which only its objects live'),
		number('allocated_bytes', 'Allocated', at('allocated_bytes'), bytesEl, 'up to the chosen moment'),
		number('allocations', 'Calls', at('allocations'), countEl, 'up to the chosen moment'),
		number(
			'temporary',
			'Brief',
			(s) => at('temporary')(s) / (at('allocations')(s) || 1),
			(v) => format.percent(v, 1),
			'freed within a millisecond',
		),
		{ key: 'stack', label: 'Stack (innermost first)', value: (s) => s.label, show: (s) => s.label },
	]
	return new Table('stacks', columns, () => report.stacks.slice(), {
		detail: (s) => stackDetail(report, s),
		text: (s) =>
			s.frames.length ? s.frames.map((f) => `${f.function} ${f.file ?? ''} ${f.module}`).join(' ') : s.label,
	})
}

function sizeTable(report) {
	const moments = report.doc.moments
	const rows = report.doc.sizes.map((s, index) => ({ ...s, index }))
	const at = (list) => (s) => list?.[s.index]?.[chosen('moment')] ?? 0
	const range = (s) => `${format.exact(s.from)} - ${format.exact(s.to)} B`
	const columns = [
		{ key: 'size', label: 'Requested', value: (s) => s.from, show: range, number: true },
		number('live_bytes', 'Live', at(moments.sizes_live_bytes), bytesEl, 'at the chosen moment'),
		number('live', 'Objects', at(moments.sizes_live), countEl, 'that live at the chosen moment'),
		number('allocated_bytes', 'Allocated', (s) => s.allocated_bytes, bytesEl, 'over the recording'),
		number('allocations', 'Calls', (s) => s.allocations, countEl, 'over the recording'),
		number('peak', 'Peak live', (s) => s.peak_live_bytes, bytesEl),
		number('peak_ns', 'at', (s) => s.peak_ns, format.time),
	]
	return new Table('sizes', columns, () => rows.slice(), { text: range, sorted: 'live_bytes' })
}

function threadTable(report) {
	const rows = report.doc.threads.map((t, index) => ({ ...t, index, label: report.threads.get(t.tid) }))
	const life = (t) => (t.ended_ns !== null ? `ended at ${format.time(t.ended_ns)}` : '')
	const columns = [
		number(
			'live_bytes',
			'Live',
			(t) => report.doc.moments.threads_live_bytes?.[t.index]?.[chosen('moment')] ?? 0,
			bytesEl,
			'of what it made, at the chosen moment',
		),
		number('allocated_bytes', 'Allocated', (t) => t.allocated_bytes, bytesEl),
		number('allocations', 'Calls', (t) => t.allocations, countEl),
		number('frees', 'Frees', (t) => t.frees, countEl),
		number('last_call_ns', 'Last call', (t) => t.last_call_ns, format.time),
		{ key: 'ended', label: 'Life', value: (t) => t.ended_ns ?? Infinity, show: life },
		{ key: 'name', label: 'Thread', value: (t) => t.label, show: (t) => t.label },
	]
	return new Table('threads', columns, () => rows.slice(), { text: (t) => t.label })
}

// What an arena would serve as well: objects of a stack that one thread frees together.
function regionTable(report) {
	const rows = report.stacks.filter((s) => s.groups)
	const columns = [
		number('died_in_groups', 'Objects', (s) => s.died_in_groups, countEl, 'that died in groups, over the recording'),
		number('share', 'of freed', (s) => s.died_in_groups / (s.frees || 1), (v) => format.percent(v, 1)),
		number('groups', 'Groups', (s) => s.groups, countEl, 'freed by one thread, with no allocation and no 10 ms between'),
		number('each', 'in each', (s) => s.died_in_groups / s.groups, (v) => format.exact(Math.round(v))),
		number('bytes', 'Its bytes', (s) => s.died_in_groups_bytes / s.groups, bytesEl, 'of a group, in the mean'),
		number(
			'overhead',
			'Overhead',
			(s) => s.died_in_groups_overhead_bytes / s.groups,
			bytesEl,
			'what headers and rounding of a general heap add to a group',
		),
		{ key: 'stack', label: 'Stack (innermost first)', value: (s) => s.label, show: (s) => s.label },
	]
	return new Table('regions', columns, () => rows.slice(), { text: (s) => s.label, sorted: 'died_in_groups' })
}

export function tablesSection(report) {
	const s = section('tables', 'Tables')
	const tables = { stacks: stackTable(report), sizes: sizeTable(report), threads: threadTable(report), regions: regionTable(report) }
	const show = (which) => Object.entries(tables).forEach(([name, t]) => (t.node.hidden = name !== which))
	s.body.append(
		choice(
			'Which table',
			[
				['stacks', 'Stacks'],
				['sizes', 'Sizes'],
				['threads', 'Threads'],
				['regions', 'Die together'],
			],
			'stacks',
			show,
		),
		...Object.values(tables).map((t) => t.node),
	)
	show('stacks')
	onChange('moment', () => Object.values(tables).forEach((t) => t.draw()))
	return s.node
}
