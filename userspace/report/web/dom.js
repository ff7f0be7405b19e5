// dom.js - elements without markup: whatever a name holds becomes text, never tags.
import * as format from './format.js'

// el('p', { class: 'note' }, 'text', child, ...); a function as attribute is a listener.
export function el(tag, attributes = {}, ...children) {
	const node = document.createElement(tag)
	for (const [name, value] of Object.entries(attributes)) {
		if (typeof value === 'function') node.addEventListener(name, value)
		else if (value !== undefined && value !== false) node.setAttribute(name, value === true ? '' : value)
	}
	node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined))
	return node
}

// "7.42 MiB", and the exact number for whoever hovers.
export function bytesEl(n) {
	return el('data', { value: n, title: format.exactBytes(n) }, format.bytes(n))
}

export function countEl(n) {
	return el('data', { value: n, title: format.exact(n) }, format.count(n))
}

// A section of the page, with what it is about in one sentence.
export function section(id, title, about) {
	const body = el('div', { class: 'body' })
	const node = el(
		'section',
		{ id, 'aria-labelledby': `${id}-title` },
		el('h2', { id: `${id}-title` }, title),
		about ? el('p', { class: 'about' }, about) : null,
		body,
	)
	return { node, body }
}

// Buttons of which one is pressed. choices: [[value, label]].
export function choice(label, choices, chosen, onChoose) {
	const buttons = choices.map(([value, text]) =>
		el(
			'button',
			{
				type: 'button',
				'data-value': value,
				'aria-pressed': String(value === chosen),
				click: () => choose(value),
			},
			text,
		),
	)
	function choose(value) {
		for (const b of buttons) b.setAttribute('aria-pressed', String(b.dataset.value === value))
		onChoose(value)
	}
	return el('div', { class: 'choice', role: 'group', 'aria-label': label }, buttons)
}

export function note(text) {
	return el('p', { class: 'note' }, text)
}

// Rows of a hover: what it is, then label and value.
export function hover(title, rows, lines = []) {
	return el(
		'div',
		{ class: 'hover' },
		el('strong', {}, title),
		rows.length
			? el(
					'table',
					{},
					rows.map(([name, value, colour]) =>
						el(
							'tr',
							{},
							el('td', {}, colour ? swatch(colour) : null, name),
							el('td', { class: 'number' }, value),
						),
					),
				)
			: null,
		lines.map((line) => el('div', { class: 'line' }, line)),
	)
}

export function swatch(colour) {
	const node = el('span', { class: 'swatch' })
	node.style.background = colour
	return node
}
