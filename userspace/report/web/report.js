// report.js - the document that heaptape wrote, unpacked, and the questions that sections ask of it.

const UNKNOWN = 2 ** 60 // of bytes: what the recorder did not know comes as 2^64 - 1

// A name may not turn around what is written beside it.
const BIDI = /[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g
const FRAMES_SHOWN = 4
const NAME_SHOWN = 60

// "std::map<...>::insert(...)": what stands in brackets is left out of a long name.
function shortName(name) {
	if (name.length <= NAME_SHOWN) return name
	let text = '',
		depth = 0
	for (const c of name.slice(0, 4000)) {
		if (c === '<' || c === '(') text += depth++ === 0 ? `${c}...` : ''
		else if ((c === '>' || c === ')') && depth) text += --depth === 0 ? c : ''
		else if (depth === 0) text += c
	}
	return text.length > NAME_SHOWN ? `${text.slice(0, NAME_SHOWN - 3)}...` : text
}

export async function load(node) {
	const packed = Uint8Array.from(atob(node.textContent.trim()), (c) => c.charCodeAt(0))
	const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'))
	node.remove()
	const text = await new Response(stream).text()
	return new Report(JSON.parse(text.replace(BIDI, '\ufffd')))
}

export class Report {
	constructor(doc) {
		this.doc = doc
		this.summary = doc.summary
		this.timeline = doc.timeline.map((p) => this.withUnknown(p))
		this.moments = this.makeMoments()
		this.keys = new Map() // function and module -> number, so that call sites of one function are one frame
		this.frames = doc.frames.map((f) => this.makeFrame(f))
		this.stacks = doc.stacks.map((s, i) => this.makeStack(s, i))
		this.byNumber = new Map(this.stacks.filter((s) => !s.isRest).map((s) => [s.number, s]))
		this.threads = new Map(
			doc.threads.map((t) => [t.tid, t.tid ? `${t.name || 'thread'} ${t.tid}` : '(before the recording)']),
		)
	}

	// Resident since before the recording and not seen since: what the kernel counted beyond what the tape knows.
	withUnknown(p) {
		const known = p.resident + p.around
		const rss = p.rss_anon === null || p.rss_anon > UNKNOWN ? null : p.rss_anon
		return { ...p, rss_anon: rss, unknown: !this.summary.from_exec && rss !== null && rss > known ? rss - known : 0 }
	}

	makeMoments() {
		const columns = this.doc.moments
		const at = (key, i) => columns[key]?.[i] ?? 0
		const keys = [
			'live',
			'live_bytes',
			'rss_anon',
			'shared_pages_bytes',
			'resident',
			'requested',
			'holes',
			'retained',
			'metadata',
			'unresident',
			'around',
		]
		const nr = Math.max(1, this.doc.map.length)
		return Array.from({ length: nr }, (_, i) => {
			const moment = { ns: at('ns', i), index: i }
			for (const key of keys) moment[key] = at(key, i)
			return this.withUnknown(moment)
		})
	}

	makeFrame(f) {
		const text = `${f.function}\n${f.module}`
		if (!this.keys.has(text)) this.keys.set(text, this.keys.size)
		return { ...f, key: this.keys.get(text) }
	}

	makeStack(s, i) {
		const isRest = this.doc.stacks_left_out > 0 && i === this.doc.stacks.length - 1
		const frames = s.frames.map((f) => this.frames[f])
		return {
			...s,
			isRest,
			index: i,
			number: s.stack,
			frames,
			label: this.labelOf(frames, s.allocator_frames, isRest),
		}
	}

	// As the terminal has it: innermost first, without the allocator's own function.
	labelOf(frames, skipped, isRest) {
		if (isRest) return `[${this.doc.stacks_left_out.toLocaleString('en-US')} smaller stacks together]`
		if (!frames.length) return '[no stack]'
		const own = frames.slice(skipped < frames.length ? skipped : 0)
		return (
			own
				.slice(0, FRAMES_SHOWN)
				.map((f) => shortName(f.function))
				.join(' < ') + (own.length > FRAMES_SHOWN ? ' < ...' : '')
		)
	}

	// A stack's figure at a moment: live, live_bytes, pinned_bytes, allocations, allocated_bytes, temporary, temporary_bytes.
	figure(stack, key, moment) {
		return stack.moments[key]?.[moment] ?? 0
	}

	nearestMoment(ns) {
		let best = 0
		for (const m of this.moments) if (Math.abs(m.ns - ns) < Math.abs(this.moments[best].ns - ns)) best = m.index
		return best
	}

	get peakMoment() {
		return this.nearestMoment(this.summary.peak_ns)
	}

	get lastMoment() {
		return this.moments.length - 1
	}

	// "7.053 s, the peak"
	momentName(i) {
		return i === this.peakMoment
			? ', the peak'
			: i === this.lastMoment
				? ', the end'
				: i === 0
					? ', the beginning'
					: ''
	}

	cells(moment) {
		const m = this.doc.map[moment]
		const cells = []
		let at = 0
		for (let i = 0; i < (m?.cells ?? 0); i++) {
			at += m.start?.[i] ?? 0
			cells.push({
				address: at * m.cell_bytes,
				nbytes: m.cell_bytes,
				resident: (m.resident?.[i] ?? 0) * 4096,
				live_bytes: m.live_bytes?.[i] ?? 0,
				live: m.live?.[i] ?? 0,
				oldest: this.bornAt(m.oldest?.[i] ?? 0),
				youngest: this.bornAt(m.youngest?.[i] ?? 0),
				stacks: this.cellStacks(m, i),
			})
		}
		return cells
	}

	bornAt(permille) {
		return this.summary.first_ns + ((this.summary.last_ns - this.summary.first_ns) * permille) / 1000
	}

	cellStacks(m, i) {
		const list = []
		for (let k = 0; m[`stack${k}_bytes`]?.[i]; k++) {
			const number = m[`stack${k}`]?.[i] ?? 0
			list.push({
				bytes: m[`stack${k}_bytes`][i],
				label: this.byNumber.get(number)?.label ?? 'one of the smaller stacks',
			})
		}
		return list
	}
}

// The parts of resident memory, in the order in which they are stacked.
export const PARTS = [
	['requested', 'inside live objects'],
	['holes', 'between and behind objects, on pages that hold one'],
	['retained', 'pages without an object that have held one'],
	['metadata', 'pages that never held one'],
	['unknown', 'in memory since before the recording, and not seen since'],
]
