// charts.js - ECharts with this page's looks: colours of the theme, hovers made of elements, sizes that follow the window.
import * as echarts from 'echarts/core'
import { BarChart, CustomChart, LineChart, ScatterChart } from 'echarts/charts'
import { DataZoomComponent, GridComponent, LegendComponent, MarkLineComponent, TooltipComponent } from 'echarts/components'
import { CanvasRenderer } from 'echarts/renderers'
import { el } from './dom.js'
import * as format from './format.js'
import { onChange } from './store.js'

echarts.use([
	BarChart,
	CustomChart,
	LineChart,
	ScatterChart,
	DataZoomComponent,
	GridComponent,
	LegendComponent,
	MarkLineComponent,
	TooltipComponent,
	CanvasRenderer,
])

// All charts of the page by their name, for the tests.
export const charts = {}

export function colour(name) {
	return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()
}

// Okabe and Ito's colours, which people tell apart whatever they see; each theme has its own shades.
export const SERIES = ['blue', 'orange', 'green', 'purple', 'sky', 'red', 'yellow', 'grey']
export const seriesColour = (i) => colour(SERIES[i % SERIES.length])

// build() makes the whole option; it is asked again when the theme changes.
export function makeChart(name, label, height, build) {
	const node = el('div', { class: 'chart', role: 'img', 'aria-label': label, 'data-chart': name })
	node.style.height = `${height}px`
	let chart = null
	function draw() {
		if (!chart) return
		chart.setOption(withLooks(build()), { replaceMerge: ['series'] })
	}
	function start() {
		if (chart || !node.clientWidth) return
		chart = charts[name] = echarts.init(node, null, { renderer: 'canvas' })
		draw()
		for (const fn of waiting) fn(chart)
	}
	const waiting = []
	new ResizeObserver(() => (chart ? chart.resize() : start())).observe(node)
	onChange('dark', draw)
	return {
		node,
		draw,
		started: (fn) => (chart ? fn(chart) : waiting.push(fn)),
		resize: () => chart?.resize(),
		get: () => chart,
	}
}

function withLooks(option) {
	return {
		animation: false,
		textStyle: { fontFamily: 'inherit', color: colour('text') },
		...option,
		tooltip: option.tooltip && {
			confine: true,
			backgroundColor: colour('raised'),
			borderColor: colour('line'),
			padding: 0,
			textStyle: { color: colour('text') },
			...option.tooltip,
		},
		legend: option.legend && {
			textStyle: { color: colour('text') },
			inactiveColor: colour('faint'),
			icon: 'roundRect',
			itemWidth: 12,
			itemHeight: 12,
			type: 'plain',
			top: 0,
			left: 0,
			...option.legend,
		},
	}
}

export function axis(extra) {
	return {
		axisLine: { lineStyle: { color: colour('line') } },
		axisTick: { show: false },
		splitLine: { lineStyle: { color: colour('grid') } },
		...extra,
		axisLabel: { color: colour('muted'), hideOverlap: true, ...extra.axisLabel },
		nameTextStyle: { color: colour('muted') },
	}
}

// Round numbers of MiB, not of a million bytes.
export function bytesAxis(max, extra = {}) {
	const step = niceStep(max)
	return axis({
		type: 'value',
		min: 0,
		max: Math.max(step, Math.ceil(max / step) * step),
		interval: step,
		axisLabel: { formatter: (v) => (v ? format.bytes(v) : '0') },
		...extra,
	})
}

function niceStep(max) {
	const rough = Math.max(1, max) / 5
	const unit = 1024 ** Math.floor(Math.log2(rough) / 10)
	return unit * ([1, 2, 5, 10, 20, 50, 100, 200, 250, 500, 1024].find((n) => n * unit >= rough) ?? 1024)
}

export function timeAxis(summary, extra = {}) {
	return axis({
		type: 'value',
		min: summary.first_ns,
		max: Math.max(summary.last_ns, summary.first_ns + 1),
		splitLine: { show: false },
		axisLabel: { formatter: (v) => format.duration(v) },
		...extra,
	})
}

export function zoom(bottom) {
	return [
		{ type: 'inside', filterMode: 'none', zoomOnMouseWheel: 'ctrl', moveOnMouseMove: false, moveOnMouseWheel: false },
		{
			type: 'slider',
			filterMode: 'none',
			height: 20,
			bottom,
			borderColor: colour('line'),
			fillerColor: colour('wash'),
			dataBackground: { lineStyle: { opacity: 0 }, areaStyle: { color: colour('faint'), opacity: 0.3 } },
			selectedDataBackground: { lineStyle: { opacity: 0 }, areaStyle: { color: colour('blue'), opacity: 0.3 } },
			handleStyle: { color: colour('raised'), borderColor: colour('muted') },
			moveHandleSize: 0,
			labelFormatter: (v) => format.duration(v),
			textStyle: { color: colour('muted') },
		},
	]
}

// The chosen moment, across a chart over time.
export function momentLine(ns) {
	return {
		silent: true,
		symbol: 'none',
		animation: false,
		lineStyle: { color: colour('text'), type: 'solid', width: 1.5 },
		label: { show: false },
		data: [{ xAxis: ns }],
	}
}

// A click anywhere on a chart over time is a time.
export function onTime(chart, fn) {
	chart.getZr().on('click', (event) => {
		const point = [event.offsetX, event.offsetY]
		if (chart.containPixel('grid', point)) fn(chart.convertFromPixel({ xAxisIndex: 0 }, event.offsetX))
	})
}
