// findings.js - what is wrong, in words, with what it rests on, the code it is about, and what to try.
import { bytesEl, el, section } from './dom.js'
import * as format from './format.js'

function stackLine(report, number, showInFlame) {
	const stack = report.byNumber.get(number)
	if (!stack) return null
	const first = stack.frames[stack.allocator_frames < stack.frames.length ? stack.allocator_frames : 0]
	return el(
		'li',
		{},
		bytesEl(stack.live_bytes),
		' live, pinning ',
		bytesEl(stack.pinned_bytes),
		' ',
		el(
			'button',
			{
				type: 'button',
				class: 'link',
				title: 'Look for its innermost function in the flame graph',
				click: () => showInFlame(first?.function ?? ''),
			},
			stack.label,
		),
	)
}

function card(report, finding, nr, showInFlame) {
	const stacks = finding.stacks.map((n) => stackLine(report, n, showInFlame)).filter(Boolean)
	return el(
		'article',
		{ class: `finding${finding.bytes === null ? ' unsafe' : ''}` },
		el('h3', {}, `${nr}. ${finding.title}.`, el('span', { class: 'rule' }, finding.rule)),
		el('p', {}, finding.evidence),
		el('p', {}, el('strong', {}, 'Try: '), finding.advice),
		stacks.length ? el('ul', { class: 'stacks' }, stacks) : null,
	)
}

export function findingsSection(report, showInFlame) {
	const s = section(
		'findings',
		'Findings',
		`As things stand at ${format.time(report.summary.at_ns)}, whatever moment is chosen above.`,
	)
	const list = report.doc.findings
	s.body.append(
		...(list.length
			? list.map((f, i) => card(report, f, i + 1, showInFlame))
			: [el('p', { class: 'well' }, 'None of the known diseases shows.')]),
	)
	return s.node
}
