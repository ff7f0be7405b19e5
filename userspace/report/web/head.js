// head.js - what was recorded, the bar that chooses the moment, and the theme.
import { bytesEl, countEl, el, note } from './dom.js'
import * as format from './format.js'
import { choose, chosen, onChange } from './store.js'

function fact(name, ...value) {
	return el('div', { class: 'fact' }, el('dt', {}, name), el('dd', {}, value))
}

function recordedOn(machine) {
	const start = Number(machine.start_unix_ns)
	const parts = [
		start ? new Date(start / 1e6).toISOString().slice(0, 19).replace('T', ' ') + ' UTC' : null,
		machine['target.pid'] ? `process ${machine['target.pid']}` : null,
		machine.allocator || null,
		machine['machine.cpus'] ? `${machine['machine.cpus']} CPUs` : null,
		machine['machine.kernel'] ? `Linux ${machine['machine.kernel']}` : null,
	]
	return parts.filter(Boolean).join(' · ')
}

function facts(report) {
	const s = report.summary
	const threads = report.doc.threads.filter((t) => t.tid).length
	const rows = el('dl', { class: 'facts' })
	const draw = () => {
		const m = report.moments[chosen('moment')]
		rows.replaceChildren(
			fact('live', bytesEl(m.live_bytes)),
			fact('objects', countEl(m.live)),
			s.has_pages ? fact('heap in memory', bytesEl(m.resident + m.unknown)) : '',
			fact('most live', bytesEl(s.peak_live_bytes), ` at ${format.time(s.peak_ns)}`),
			fact('allocated', bytesEl(s.allocated_bytes)),
			fact('allocations', countEl(s.allocations)),
			fact('threads', countEl(threads)),
			fact('recorded', format.duration(s.last_ns - s.first_ns)),
		)
	}
	draw()
	onChange('moment', draw)
	return rows
}

export function fillHead(node, report) {
	const s = report.summary
	document.title = `heaptape: ${s.program || report.doc.tape}`
	node.append(
		el('div', { class: 'title' }, el('h1', {}, s.program || 'a program without a name'), themeButton()),
		el('p', { class: 'about' }, `${report.doc.tape} · ${recordedOn(report.doc.machine)}`),
		facts(report),
	)
	if (s.lost) node.append(note(`${format.exact(s.lost)} calls were lost while recording: all figures lack them.`))
	if (!s.from_exec)
		node.append(
			note(
				'Recording began when the program had already run: what was in memory before and was not seen since is told as unknown.',
			),
		)
}

// ---- theme ----

function setTheme(dark) {
	document.documentElement.dataset.theme = dark ? 'dark' : 'light'
	choose('dark', dark)
}

function themeButton() {
	const button = el('button', { type: 'button', id: 'theme', click: () => setTheme(!chosen('dark')) })
	const name = () => (button.textContent = chosen('dark') ? 'Light' : 'Dark')
	onChange('dark', name)
	name()
	return button
}

// As the reader's system has it, until the button says otherwise. Paper is light.
export function followTheme() {
	const query = matchMedia('(prefers-color-scheme: dark)')
	let before = query.matches
	setTheme(query.matches)
	query.addEventListener('change', () => setTheme(query.matches))
	addEventListener('beforeprint', () => {
		before = chosen('dark')
		setTheme(false)
	})
	addEventListener('afterprint', () => setTheme(before))
}

// ---- the bar ----

function slider(report) {
	// Once a frame: a thumb that is dragged passes more moments than can be drawn.
	let waits = false
	const take = () => {
		waits = false
		choose('moment', Number(input.value))
	}
	const input = el('input', {
		type: 'range',
		id: 'time',
		min: 0,
		max: report.lastMoment,
		step: 1,
		'aria-label': 'The moment that everything is about',
		input: () => {
			waits ||= Boolean(requestAnimationFrame(take))
		},
	})
	const told = el('output', { for: 'time' })
	const draw = () => {
		const i = chosen('moment')
		const text = `${format.time(report.moments[i].ns)}${report.momentName(i)}`
		input.value = i
		input.setAttribute('aria-valuetext', text)
		told.textContent = text
	}
	draw()
	onChange('moment', draw)
	return el(
		'div',
		{ class: 'time' },
		el('label', { for: 'time' }, 'At'),
		told,
		input,
		el('button', { type: 'button', click: () => choose('moment', report.peakMoment) }, 'Peak'),
		el('button', { type: 'button', click: () => choose('moment', report.lastMoment) }, 'End'),
	)
}

export function fillBar(node, report, sections) {
	node.append(
		slider(report),
		el(
			'ul',
			{ class: 'links' },
			sections.map((s) => el('li', {}, el('a', { href: `#${s.id}` }, s.name))),
		),
	)
}
