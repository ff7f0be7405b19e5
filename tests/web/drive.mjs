// drive.mjs FOLDER SHOTS PACKAGES CHROMIUM [large-only] - opens the reports in FOLDER in a browser, as a reader would, and says
// "ok NAME" or "FAIL NAME: why" of each thing that was looked at. Screenshots go to SHOTS.
import { createRequire } from 'node:module'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'

const [folder, shots, packages, chromiumPath, only] = process.argv.slice(2)
const { chromium } = createRequire(`${packages}/`)('playwright-core')
const MIB = 1024 * 1024
const HEAP = 0x7f1000000000

const say = (name, why) =>
	process.stdout.write(why ? `FAIL ${name}: ${String(why).replaceAll('\n', ' ').slice(0, 600)}\n` : `ok ${name}\n`)
async function test(name, fn) {
	try {
		say(name, await fn())
	} catch (error) {
		say(name, error.stack ?? error)
	}
}
const equal = (got, want) =>
	JSON.stringify(got) === JSON.stringify(want) ? '' : `${JSON.stringify(got)}, not ${JSON.stringify(want)}`
const holds = (condition, why) => (condition ? '' : why)

// ---- the browser ----

const browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', '--disable-gpu'] })

// A page with what went wrong on it, and all that it asked for.
async function open(file, options = {}) {
	const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, colorScheme: 'light', ...options })
	const page = await context.newPage()
	const said = [],
		asked = []
	// The browser's advice to whoever reads many pixels is meant for this driver.
	page.on('console', (m) => ['error', 'warning'].includes(m.type()) && !m.text().includes('willReadFrequently') && said.push(m.text()))
	page.on('pageerror', (error) => said.push(error.message))
	page.on('request', (request) => asked.push(request.url()))
	await page.goto(`file://${folder}/${file}`)
	await page.waitForSelector('html[data-ready]', { timeout: 60000 })
	await settle(page)
	return { page, said, asked, close: () => context.close() }
}

// Charts draw in animation frames.
const settle = (page) =>
	page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 60)))))

async function shoot(page, name) {
	await page.evaluate(() => {
		scrollTo(0, 0)
		document.getElementById('bar').style.position = 'static'
	})
	await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true })
	await page.evaluate(() => {
		document.getElementById('bar').style.position = ''
	})
}

async function at(page, seconds) {
	await page.evaluate((ns) => heaptape.choose('moment', heaptape.report.nearestMoment(ns)), seconds * 1e9)
	await settle(page)
}

// Of every canvas that is shown: how many colours it has, and how much of it is not the most frequent one.
function drawn(page) {
	return page.evaluate(() =>
		[...document.querySelectorAll('[data-chart]')]
			.filter((n) => n.offsetParent)
			.map((node) => {
				const canvas = node.tagName === 'CANVAS' ? node : node.querySelector('canvas')
				if (!canvas) return { name: node.dataset.chart, colours: 0, share: 0 }
				const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
				const counts = new Map()
				const words = new Uint32Array(data.buffer)
				for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
				return {
					name: node.dataset.chart,
					colours: counts.size,
					share: 1 - Math.max(...counts.values()) / words.length,
				}
			}),
	)
}

async function allDrawn(page, wanted) {
	const list = await drawn(page)
	const names = list.map((c) => c.name)
	const missing = wanted.filter((name) => !names.includes(name)),
		blank = list.filter((c) => c.colours < 3 || c.share < 0.002)
	return holds(!missing.length && !blank.length, `missing ${missing}; blank ${JSON.stringify(blank)}`)
}

// The colour in a chart at a place of its axes, on the page's ground, as [r, g, b].
function colourIn(page, chart, point) {
	return page.evaluate(
		([name, [x, y]]) => {
			const c = heaptape.charts[name],
				canvas = c.getDom().querySelector('canvas')
			const [px, py] = c.convertToPixel({ xAxisIndex: 0, yAxisIndex: 0 }, [x, y])
			const ratio = canvas.width / canvas.clientWidth
			const [r, g, b, alpha] = canvas
				.getContext('2d')
				.getImageData(Math.round(px * ratio), Math.round(py * ratio), 1, 1).data
			const ground = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number)
			return [r, g, b].map((v, i) => Math.round((v * alpha + ground[i] * (255 - alpha)) / 255))
		},
		[chart, point],
	)
}

const hexOf = (page, name) =>
	page.evaluate((n) => getComputedStyle(document.documentElement).getPropertyValue(`--${n}`).trim(), name)
async function near(page, got, name, most = 70) {
	const hex = await hexOf(page, name)
	const want = [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16))
	const distance = Math.max(...want.map((v, i) => Math.abs(v - got[i])))
	return holds(distance <= most, `[${got}] is not ${name} [${want}]`)
}

// The first of several reasons, if there is one.
const first = (...reasons) => reasons.find(Boolean) ?? ''

function cleanly(name, opened) {
	return test(`${name}: no error on the console, and nothing is asked of anyone`, () =>
		first(
			equal(opened.said, []),
			holds(
				opened.asked.every(
					(url) =>
						url.startsWith(`file://${folder}/`) ||
						url.startsWith('data:') ||
						url.startsWith('blob:'),
				) && opened.asked.filter((u) => u.startsWith('file:')).length === 1,
				opened.asked,
			),
		))
}

const CHARTS = ['timeline', 'split', 'map', 'flame', 'lifetimes', 'sizes']
const REPLAY_CHARTS = ['replay', 'peak_split', 'end_split', 'latency_malloc', 'latency_free']

// ---- known figures ----

async function lookAtPoints(page) {
	await test('known points are where they should be in the time line', async () =>
		first(
			await near(page, await colourIn(page, 'timeline', [8.3e9, 4 * MIB]), 'blue'),
			await near(page, await colourIn(page, 'timeline', [8.3e9, 16 * MIB]), 'orange'),
			await near(page, await colourIn(page, 'timeline', [8.3e9, 11 * MIB]), 'paper', 12),
		))
	await test('known parts are where they should be in the split', async () =>
		first(
			await near(page, await colourIn(page, 'split', [8.3e9, 2 * MIB]), 'blue'),
			await near(page, await colourIn(page, 'split', [8.3e9, 10 * MIB]), 'yellow'),
			await near(page, await colourIn(page, 'split', [5e9, 10 * MIB]), 'blue'),
			await near(page, await colourIn(page, 'split', [2.2e9, 11 * MIB]), 'paper', 12),
		))
}

async function lookAtMarker(page) {
	await test('the chosen time is marked, and the mark moves', async () => {
		const above = 19.5 * MIB
		await at(page, 8)
		const ns = await page.evaluate(() => heaptape.report.moments[heaptape.chosen('moment')].ns)
		const before = await near(page, await colourIn(page, 'timeline', [ns, above]), 'text', 90)
		await at(page, 2)
		return first(before, await near(page, await colourIn(page, 'timeline', [ns, above]), 'paper', 12))
	})
	await test('the time line zooms around the chosen moment, and out again', async () => {
		await at(page, 8)
		await page.getByRole('button', { name: 'Zoom in' }).click()
		await page.getByRole('button', { name: 'Zoom in' }).click()
		await settle(page)
		const x = await page.evaluate(() =>
			[6.5e9, 8e9, 9.5e9].map((ns) =>
				Math.round(heaptape.charts.timeline.convertToPixel({ xAxisIndex: 0 }, ns)),
			),
		)
		const inside = await near(page, await colourIn(page, 'timeline', [8.3e9, 4 * MIB]), 'blue')
		await page.getByRole('button', { name: 'All of it' }).click()
		await settle(page)
		const all = await page.evaluate(() =>
			[0, 12e9].map((ns) => Math.round(heaptape.charts.timeline.convertToPixel({ xAxisIndex: 0 }, ns))),
		)
		return first(equal([x[0], x[2]], all), equal(x[1], Math.round((all[0] + all[1]) / 2)), inside)
	})
	await test('a click in the time line chooses the nearest moment', async () => {
		const x = await page.evaluate(() => heaptape.charts.timeline.convertToPixel({ xAxisIndex: 0 }, 10.1e9))
		await page.locator('[data-chart=timeline]').click({ position: { x, y: 120 } })
		await settle(page)
		return equal(
			await page.evaluate(() => Math.round(heaptape.report.moments[heaptape.chosen('moment')].ns / 1e8)),
			100,
		)
	})
}

// The map's colour in the middle of the cell that holds an address.
function cellColour(page, address) {
	return page.evaluate((a) => {
		const { map } = heaptape
		const cell = map.cells.find((c) => a >= c.address && a < c.address + c.nbytes)
		if (!cell) return null
		const r = map.rect(cell),
			ratio = map.canvas.width / map.canvas.clientWidth
		return [
			...map.canvas
				.getContext('2d')
				.getImageData(Math.round((r.x + r.w / 2) * ratio), Math.round((r.y + r.h / 2) * ratio), 1, 1)
				.data,
		].slice(0, 3)
	}, address)
}

async function lookAtMap(page) {
	await test('the map shows a block full, then empty, and one that is not there yet', async () => {
		await at(page, 5)
		const full = await cellColour(page, HEAP + 20 * MIB),
			none = await cellColour(page, HEAP + 32 * MIB)
		await at(page, 8)
		const empty = await cellColour(page, HEAP + 20 * MIB),
			kept = await cellColour(page, HEAP + 2 * MIB)
		return first(equal(full, [0, 34, 78]), equal(empty, [253, 231, 55]), equal(kept, [0, 34, 78]), equal(none, null))
	})
	await test('a hover over the map tells stacks and ages', async () => {
		await at(page, 5)
		const rect = await page.evaluate(
			(a) => heaptape.map.rect(heaptape.map.cells.find((c) => c.address === a)),
			HEAP + 16 * MIB,
		)
		await page.locator('canvas.map').scrollIntoViewIfNeeded()
		await page.locator('canvas.map').hover({ position: { x: rect.x + rect.w / 2, y: rect.y + 5 } })
		const text = await page.locator('.map-box .tip').innerText()
		return holds(/shop::burst/.test(text) && /oldest/.test(text) && /100\.0 %/.test(text), text)
	})
	await test('the map can be walked with the keyboard', async () => {
		await page.locator('canvas.map').focus()
		await page.keyboard.press('ArrowRight')
		await page.keyboard.press('ArrowRight')
		return holds((await page.locator('#map-cell').textContent()).includes('0x7f10'), 'nothing was told')
	})
}

// ---- flame graph ----

const flames = (page) =>
	page.evaluate(() =>
		Object.fromEntries(heaptape.flame.list.map((n) => [n.name, [n.value, Math.round(n.w * 1000) / 1000]])),
	)
const flamePixels = (page) => page.evaluate(() => heaptape.charts.flame.getDom().querySelector('canvas').toDataURL())

async function clickFlame(page, name) {
	const [x, y] = await page.evaluate((n) => {
		const node = heaptape.flame.list.find((one) => one.name === n)
		return heaptape.charts.flame.convertToPixel({ xAxisIndex: 0, yAxisIndex: 0 }, [
			node.x + node.w / 2,
			node.depth + 0.5,
		])
	}, name)
	await page.locator('[data-chart=flame]').click({ position: { x, y } })
	await settle(page)
}

async function lookAtFlame(page) {
	await test('the chosen time changes the flame graph', async () => {
		await at(page, 2)
		const [early, before] = [await flames(page), await flamePixels(page)]
		await at(page, 5)
		const [peak, after] = [await flames(page), await flamePixels(page)]
		await at(page, 8)
		const late = await flames(page)
		return first(
			equal(early['shop::early'], [4 * MIB, 1]),
			equal(early['shop::burst'], undefined),
			equal(peak['shop::burst'], [12 * MIB, 0.75]),
			equal(peak['shop::early'], [4 * MIB, 0.25]),
			equal(late['shop::burst'], undefined),
			holds(before !== after, 'the same picture'),
		)
	})
	await test('a click makes a frame as wide as the graph', async () => {
		await at(page, 5)
		await clickFlame(page, 'shop::burst')
		const wide = await flames(page)
		await page.getByRole('button', { name: 'Show all' }).click()
		return first(
			equal(wide['shop::burst'], [12 * MIB, 1]),
			equal(wide['shop::early'], undefined),
			equal((await flames(page))['shop::burst'][1], 0.75),
		)
	})
	await test('the flame graph can be walked with the keyboard', async () => {
		await page.locator('[data-chart=flame]').focus()
		for (const key of ['ArrowDown', 'ArrowDown', 'ArrowDown', 'Enter']) await page.keyboard.press(key)
		await settle(page)
		const wide = await flames(page)
		await page.keyboard.press('Escape')
		return holds(wide['shop::burst']?.[1] === 1 || wide['shop::early']?.[1] === 1, JSON.stringify(wide))
	})
	await test('search tells its share and dims the rest', async () => {
		await page.locator('#flame-search').fill('SHOP::early')
		await settle(page)
		const told = await page.locator('.crumb').textContent()
		const x = await page.evaluate(() => {
			const n = heaptape.flame.list.find((one) => one.name === 'shop::burst')
			return [n.x + n.w * 0.7, n.depth + 0.5]
		})
		const dim = await near(page, await colourIn(page, 'flame', x), 'ground', 12)
		await page.locator('#flame-search').fill('')
		return first(holds(told.includes('25.0 %') && told.includes('4.00 MiB'), told), dim)
	})
	await test('pinned, allocated and temporary have graphs of their own', async () => {
		const got = {}
		for (const kind of ['pinned', 'allocated', 'temporary']) {
			await page.locator(`#flame button[data-value=${kind}]`).click()
			await settle(page)
			got[kind] = await flames(page)
		}
		await page.locator('#flame button[data-value=live]').click()
		return first(
			equal(got.pinned['shop::burst'][0], 12 * MIB),
			equal(got.allocated['shop::early'][0], 4 * MIB),
			equal(Object.keys(got.temporary).includes('shop::burst'), false),
		)
	})
}

// ---- tables, numbers ----

const cells = (page, row) => page.locator(`#table-stacks tbody tr:nth-child(${row}) td`).allInnerTexts()

async function lookAtTables(page) {
	await test('the table of stacks sorts by what is clicked, and back', async () => {
		await at(page, 8)
		const top = await cells(page, 1)
		const button = page.locator('#table-stacks thead').getByRole('button', { name: 'Calls' })
		await button.click()
		const calls = await cells(page, 1),
			sorted = await page.locator('#table-stacks th').nth(4).getAttribute('aria-sort')
		await button.click()
		const fewest = await cells(page, 1)
		await page.locator('#table-stacks thead').getByRole('button', { name: 'Live' }).click()
		return first(
			holds(top[0] === '4.00 MiB' && top[6].includes('shop::early'), top),
			holds(calls[4] === '3,072' && calls[0] === '0 B', calls),
			equal(sorted, 'descending'),
			holds(Number(fewest[4].replace(',', '')) <= 2, fewest),
		)
	})
	await test('the table and the sizes are those of the chosen moment', async () => {
		await page.getByLabel('Filter stacks').fill('burst')
		await at(page, 5)
		const [then, tall] = [await cells(page, 1), await colourIn(page, 'sizes', [1, 6 * MIB])]
		await at(page, 8)
		const [now, gone] = [await cells(page, 1), await colourIn(page, 'sizes', [1, 6 * MIB])]
		await page.getByLabel('Filter stacks').fill('')
		return first(
			equal([then[0], then[1], now[0], now[1]], ['12.0 MiB', '3,072', '0 B', '0']),
			await near(page, tall, 'blue'),
			await near(page, gone, 'faint'),
		)
	})
	await test('the filter keeps the rows that it names', async () => {
		await page.getByLabel('Filter stacks').fill('finish')
		const [found, row] = [await page.locator('#table-stacks .found').textContent(), await cells(page, 1)]
		await page.getByLabel('Filter stacks').fill('')
		return first(equal(found, '1 of 4'), holds(row[6].includes('shop::late'), row))
	})
	await test('a stack opens to its frames', async () => {
		await page.locator('#table-stacks .opener').first().click()
		const text = await page.locator('#table-stacks .detail').innerText()
		await page.locator('#table-stacks .opener').first().click()
		return holds(/shop::early.*\/src\/shop\.cc:11/.test(text.replaceAll('\n', ' ')), text)
	})
	await test('numbers are in MiB, and exact for whoever hovers', async () => {
		const kept = page.locator('#split-now tr[data-part=retained] data')
		return first(
			equal(await kept.innerText(), '12.0 MiB'),
			equal(await kept.getAttribute('title'), '12,582,912 bytes'),
		)
	})
	await test('sizes and threads have tables, and who frees whose has one', async () => {
		await page.locator('#tables button[data-value=threads]').click()
		const threads = await page.locator('#table-threads tbody').innerText()
		await page.locator('#tables button[data-value=sizes]').click()
		const sizes = await page.locator('#table-sizes tbody').innerText()
		await page.locator('#tables button[data-value=stacks]').click()
		const matrix = await page.locator('.matrix').innerText()
		return holds(
			/sweeper 4712/.test(threads) && /61,441 - 65,536 B/.test(sizes) && /12\.0 MiB/.test(matrix),
			`${threads} ${sizes} ${matrix}`,
		)
	})
	await test('what dies together is told with its groups', async () => {
		await page.locator('#tables button[data-value=regions]').click()
		const rows = await page.locator('#table-regions tbody tr').allInnerTexts()
		await page.locator('#tables button[data-value=stacks]').click()
		return holds(rows.length === 1 && /3,072\s+100\.0 %\s+1\s+3,072\s+12\.0 MiB\s+48\.0 KiB.*shop::burst/s.test(rows[0]), rows)
	})
}

async function lookAtPage(page) {
	await test('the time moves with the keyboard, to the peak and to the end', async () => {
		await page.getByRole('button', { name: 'Peak' }).click()
		const peak = await page.locator('.time output').textContent()
		await page.locator('#time').focus()
		await page.keyboard.press('End')
		await settle(page)
		const end = await page.locator('.time output').textContent()
		await page.keyboard.press('ArrowLeft')
		await settle(page)
		return first(
			equal(end, '12.000 s, the end'),
			holds(peak.includes('the peak'), peak),
			equal(await page.locator('.time output').textContent(), '11.500 s'),
		)
	})
	await test('findings are there, and lead to the flame graph', async () => {
		await page.locator('.finding .link', { hasText: 'shop::burst' }).first().click()
		const value = await page.locator('#flame-search').inputValue()
		await page.locator('#flame-search').fill('')
		return holds(value.length > 0, 'nothing is searched for')
	})
	await test('dark: another ground, and all charts again', async () => {
		const before = await page.evaluate(() => getComputedStyle(document.body).backgroundColor)
		await at(page, 5)
		await page.locator('#theme').click()
		await settle(page)
		await shoot(page, 'small-dark')
		const after = await page.evaluate(() => getComputedStyle(document.body).backgroundColor)
		return first(holds(before !== after, before), await allDrawn(page, CHARTS))
	})
	await test('it prints, on a light ground', async () => {
		const pdf = await page.pdf({ path: `${shots}/small.pdf`, printBackground: true })
		return holds(pdf.length > 20000, `${pdf.length} bytes`)
	})
}

async function small() {
	const opened = await open('small.html')
	const { page } = opened
	await at(page, 8)
	await shoot(page, 'small')
	await test('small: every chart has drawn something', () => allDrawn(page, [...CHARTS, ...REPLAY_CHARTS]))
	await lookAtPoints(page)
	await lookAtMarker(page)
	await lookAtMap(page)
	await lookAtFlame(page)
	await lookAtTables(page)
	await test('the replay: verdicts in words, a row an allocator', async () => {
		const text = await page.locator('#replay').innerText()
		return holds(
			/glibc/.test(text) &&
				/jemalloc/.test(text) &&
				/needs the least memory at its peak/.test(text) &&
				/jemalloc(?: differs|: no difference) from glibc/.test(text),
			text,
		)
	})
	await test('the replay: a curve goes where its figures are', async () => {
		const points = await page.evaluate(() => heaptape.report.doc.replay.results.map((r) => r.timeline[150]))
		return first(
			await near(page, await colourIn(page, 'replay', [points[0].ns, points[0].resident]), 'blue'),
			await near(page, await colourIn(page, 'replay', [points[1].ns, points[1].resident]), 'orange'),
		)
	})
	await lookAtPage(page)
	await test('the page itself cannot ask anything of a network', async () => {
		const got = await page.evaluate(() =>
			fetch('http://127.0.0.1:1/').then(
				() => 'asked',
				(e) => String(e),
			),
		)
		opened.said.length = 0 // the browser says on the console that it has refused
		opened.asked.splice(0, opened.asked.length, ...opened.asked.filter((u) => u.startsWith('file:')))
		return holds(got !== 'asked', got)
	})
	await cleanly('small', opened)
	await opened.close()
}

async function narrow() {
	const opened = await open('small.html', { viewport: { width: 390, height: 800 }, colorScheme: 'dark' })
	await shoot(opened.page, 'small-narrow')
	await test('narrow: nothing sticks out', async () => {
		const wide = await opened.page.evaluate(() => document.scrollingElement.scrollWidth)
		return holds(wide <= 390, `${wide} pixels wide`)
	})
	await cleanly('narrow', opened)
	await opened.close()
}

async function empty() {
	const opened = await open('empty.html')
	await shoot(opened.page, 'empty')
	await test('empty: it says so', async () =>
		holds((await opened.page.locator('main').innerText()).includes('No allocation is on this tape'), 'it does not'))
	await cleanly('empty', opened)
	await opened.close()
}

// Known spans of two size classes: see make_page_tape.c.
async function runtime() {
	const opened = await open('runtime.html')
	const { page } = opened
	await shoot(page, 'runtime')
	await test('runtime: its charts have drawn something', () => allDrawn(page, ['runtime', 'runtime-classes']))
	await test('runtime: a class is blue when it is full, and orange when it is empty', async () => {
		const cells = await Promise.all([0, 3].map((x) => colourIn(page, 'runtime-classes', [x, 0])))
		const [full, empty] = [await near(page, cells[0], 'blue', 30), await near(page, cells[1], 'orange', 75)]
		return first(full, empty, cells[0].join() === cells[1].join() ? 'one colour' : '')
	})
	await test('runtime: the other class stays full', async () =>
		first(
			await near(page, await colourIn(page, 'runtime-classes', [0, 1]), 'blue', 30),
			await near(page, await colourIn(page, 'runtime-classes', [3, 1]), 'blue', 30),
		))
	await test('runtime: its own figures are told', async () => {
		const text = await page.locator('#runtime-figures').innerText()
		return holds(/cycle\s+1\s+4\s+4/.test(text) && /heap in use bytes\s+2\.00 MiB/.test(text), text)
	})
	await test('runtime: a hover tells how full', async () => {
		await page.locator('[data-chart="runtime-classes"]').scrollIntoViewIfNeeded()
		const box = await page.locator('[data-chart="runtime-classes"]').boundingBox()
		const [x, y] = await page.evaluate(() => heaptape.charts['runtime-classes'].convertToPixel({ xAxisIndex: 0, yAxisIndex: 0 }, [2, 0]))
		await page.mouse.move(box.x + x, box.y + y)
		await settle(page)
		const text = await page.locator('[data-chart="runtime-classes"]').innerText()
		return holds(/1024 noscan at 3\.000 s/.test(text) && /50\.0 %/.test(text) && /512 KiB/.test(text), text)
	})
	await cleanly('runtime', opened)
	await opened.close()
}

// Which elements there are: names may change what is told, never what it is told with.
const tags = (page) =>
	page.evaluate(() => [...new Set([...document.querySelectorAll('body *')].map((n) => n.tagName.toLowerCase()))].sort())

async function hostile() {
	const opened = await open('hostile.html')
	const { page } = opened
	await shoot(page, 'hostile')
	await test('hostile: every chart has drawn something', () =>
		allDrawn(page, ['timeline', 'split', 'map', 'flame', 'sizes']))
	await test('hostile: names are text, and nothing of them runs', async () => {
		for (const opener of await page.locator('#table-stacks .opener').all()) await opener.click()
		await page.locator('#flame-search').fill('<script>')
		await settle(page)
		await clickFlame(page, 'main')
		const [got, broken] = [await tags(page), await page.evaluate(() => window.broken)]
		const allowed = [
			'a',
			'article',
			'canvas',
			'code',
			'data',
			'dd',
			'details',
			'div',
			'dl',
			'dt',
			'footer',
			'h1',
			'h2',
			'h3',
			'header',
			'input',
			'label',
			'li',
			'main',
			'nav',
			'ol',
			'output',
			'p',
			'button',
			'polyline',
			'script',
			'section',
			'span',
			'strong',
			'summary',
			'svg',
			'table',
			'tbody',
			'td',
			'th',
			'thead',
			'tr',
			'ul',
		]
		const scripts = await page.locator('script').count()
		return first(
			equal(broken, undefined),
			equal(
				got.filter((t) => !allowed.includes(t)),
				[],
			),
			equal(scripts, 2),
			equal(await page.locator('svg:not(.spark)').count(), 0),
		)
	})
	await test('hostile: the names are told as they are', async () => {
		const text = await page.locator('#table-stacks').innerText()
		return holds(
			text.includes('</script><script>window.broken = 1</script>') &&
				text.includes('__proto__') &&
				text.includes('<img src=x onerror="window.broken = 2">') &&
				(await page.title()).includes('</title><script>window.broken=5</script>'),
			text.slice(0, 400),
		)
	})
	await cleanly('hostile', opened)
	await opened.close()
}

async function large() {
	const opened = await open('large.html')
	const { page } = opened
	await shoot(page, 'large')
	await test('large: every chart has drawn something', () => allDrawn(page, CHARTS))
	await test('large: all of its stacks are there, and are searched and sorted', async () => {
		const found = await page.locator('#table-stacks .found').textContent()
		await page.getByLabel('Filter stacks').fill('engine::Table')
		await page.locator('#table-stacks thead').getByRole('button', { name: 'Allocated' }).click()
		const left = await page.locator('#table-stacks .found').textContent()
		await page.locator('#flame-search').fill('engine::Table')
		await settle(page)
		const all = Number(found.split(' of ')[1].replace(',', ''))
		return holds(
			all >= 1400 &&
				all <= 2001 &&
				parseInt(left) > 10 &&
				found !== left &&
				/match/.test(await page.locator('.crumb').textContent()),
			`${found}; ${left}`,
		)
	})
	await test('large: the chosen time changes the flame graph', async () => {
		const before = await flamePixels(page)
		await page.locator('#time').focus()
		await page.keyboard.press('Home')
		await page.keyboard.press('ArrowRight')
		await settle(page)
		return holds(before !== (await flamePixels(page)), 'the same picture')
	})
	const times = await page.evaluate(() => {
		const took = (fn) => {
			const from = performance.now()
			fn()
			return Math.round(performance.now() - from)
		}
		return { moment: took(() => heaptape.choose('moment', 12)), search: took(() => heaptape.flame.search('insert')) }
	})
	process.stdout.write(
		`large.html: ${statSync(`${folder}/large.html`).size} bytes; choosing a moment ${times.moment} ms, a search ${times.search} ms\n`,
	)
	await cleanly('large', opened)
	await opened.close()
}

mkdirSync(shots, { recursive: true })
const words = { small, narrow, empty, runtime, hostile, large }
try {
	for (const [name, fn] of Object.entries(words))
		if (!only || only === name)
			await test(`${name}.html is looked at to its end`, async () => {
				await fn()
			})
} finally {
	await browser.close()
	writeFileSync(`${shots}/README`, 'Screenshots of the last run of tests/run.sh html.\n')
}
