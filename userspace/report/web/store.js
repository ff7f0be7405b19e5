// store.js - what the reader has chosen: the moment and the theme. Sections are told when it changes.

const state = { moment: 0, dark: false }
const listeners = { moment: [], dark: [] }

export const chosen = (key) => state[key]

export function choose(key, value) {
	if (state[key] === value) return
	state[key] = value
	for (const listener of listeners[key]) listener(value)
}

export function onChange(key, listener) {
	listeners[key].push(listener)
}
