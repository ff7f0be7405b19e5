// format.js - numbers for people; the exact ones are kept for whoever hovers.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB']

// Three figures that matter: "7.42 MiB", "46.1 KiB", "512 B".
export function bytes(n) {
	let size = Math.abs(n),
		unit = 0
	while (size >= 1023.5 && unit < UNITS.length - 1) {
		size /= 1024
		unit++
	}
	const text = unit === 0 ? String(Math.round(size)) : size.toPrecision(size >= 999.5 ? 4 : 3)
	return `${n < 0 ? '-' : ''}${text} ${UNITS[unit]}`
}

export const exactBytes = (n) => `${exact(n)} bytes`

export function exact(n) {
	return Math.round(n).toLocaleString('en-US')
}

export function count(n) {
	if (n < 10000) return exact(n)
	const [size, unit] = n >= 1e9 ? [n / 1e9, 'G'] : n >= 1e6 ? [n / 1e6, 'M'] : [n / 1e3, 'k']
	return `${size.toPrecision(3)} ${unit}`
}

export function duration(ns) {
	if (ns >= 60e9) return `${Math.floor(ns / 60e9)} min ${Math.round((ns % 60e9) / 1e9)} s`
	const [size, unit] =
		ns >= 1e9 ? [ns / 1e9, 's'] : ns >= 1e6 ? [ns / 1e6, 'ms'] : ns >= 1e3 ? [ns / 1e3, 'µs'] : [ns, 'ns']
	return `${Number(size.toPrecision(3))} ${unit}`
}

// A moment of the recording, as the other verbs tell it.
export const time = (ns) => `${(ns / 1e9).toFixed(3)} s`

export function percent(part, all) {
	return all ? `${((100 * part) / all).toFixed(1)} %` : '0.0 %'
}

export function signedPercent(share) {
	return `${share > 0 ? '+' : ''}${(100 * share).toFixed(1)} %`
}

export const address = (n) => `0x${n.toString(16)}`
