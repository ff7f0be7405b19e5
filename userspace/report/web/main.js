// main.js - unpacks the report and puts the sections on the page. All of it runs in the browser; nothing is asked of a network.
import { charts } from './charts.js'
import { el, note } from './dom.js'
import { findingsSection } from './findings.js'
import { flameSection } from './flame.js'
import { fillBar, fillHead, followTheme } from './head.js'
import { heapMapSection } from './heapmap.js'
import { lifeSection } from './life.js'
import { load } from './report.js'
import { runtimeSection } from './runtime.js'
import { replaySection } from './replay.js'
import { splitSection } from './split.js'
import { choose, chosen, onChange } from './store.js'
import { tablesSection } from './tables.js'
import { timelineSection } from './timeline.js'

const SECTIONS = [
	['findings', 'Findings'],
	['timeline', 'Time line'],
	['split', 'Split'],
	['runtime', 'Runtime'],
	['map', 'Map'],
	['flame', 'Flame graphs'],
	['tables', 'Tables'],
	['life', 'Lifetimes'],
	['replay', 'Replay'],
]

// Its results come from a file that a person chose; what is wrong with them must not take the rest along.
function replayOf(report) {
	try {
		return replaySection(report)
	} catch (error) {
		return el(
			'section',
			{ id: 'replay' },
			el('h2', {}, 'Replay'),
			note(`The replay\u2019s results cannot be shown: ${error.message}.`),
		)
	}
}

function build(report) {
	if (!report.timeline.some((p) => p.allocations || p.frees || p.live)) {
		document.getElementById('content').replaceChildren(note('No allocation is on this tape.'))
		return {}
	}
	const flame = flameSection(report)
	const map = heapMapSection(report)
	const nodes = [
		findingsSection(report, flame.show),
		timelineSection(report),
		splitSection(report),
		runtimeSection(report),
		map.node,
		flame.node,
		tablesSection(report),
		lifeSection(report),
		replayOf(report),
	].filter(Boolean)
	document.getElementById('content').replaceChildren(...nodes)
	const ids = new Set(nodes.map((n) => n.id))
	fillBar(
		document.getElementById('bar'),
		report,
		SECTIONS.filter(([id]) => ids.has(id)).map(([id, name]) => ({ id, name })),
	)
	return { flame: flame.flame, map: map.map }
}

async function start() {
	const report = await load(document.getElementById('data'))
	followTheme()
	choose('moment', report.nearestMoment(report.summary.at_ns))
	fillHead(document.getElementById('head'), report)
	const parts = build(report)
	document.getElementById('foot').append(
		el(
			'p',
			{},
			`heaptape ${report.doc.heaptape}. Times are since recording began. All that is told is in this file; it asks nothing of any network. Charts are drawn by Apache ECharts.`,
		),
	)
	// For scripts that look at the page, its tests among them.
	window.heaptape = { report, charts, choose, chosen, onChange, ...parts }
	document.documentElement.dataset.ready = 'yes'
}

start().catch((error) => {
	document.getElementById('content').replaceChildren(
		note(`This report cannot be read: ${error.message}. A browser of 2023 or later is needed.`),
	)
	throw error
})
