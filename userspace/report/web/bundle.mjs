// bundle.mjs WEB FOLDER - page.html of WEB with its styles and scripts in it, as FOLDER/page.html.
// Runs with the packages of FOLDER/node_modules.
import { createRequire } from 'node:module'
import { readFileSync, writeFileSync } from 'node:fs'

const [web, folder] = process.argv.slice(2)
const { buildSync } = createRequire(`${folder}/`)('esbuild')

function bundled(entry) {
	const result = buildSync({
		entryPoints: [`${web}/${entry}`],
		bundle: true,
		minify: true,
		write: false,
		format: 'iife',
		target: ['chrome100', 'firefox113', 'safari16.4'], // the first with DecompressionStream, or later
		charset: 'utf8',
		legalComments: 'none', // whole texts stand beside the script,
		nodePaths: [`${folder}/node_modules`],
		define: { 'process.env.NODE_ENV': '"production"', __DEV__: 'false' },
	})
	return result.outputFiles[0].text
}

// What is given away must say under which licences.
const licences = ['echarts/LICENSE', 'echarts/NOTICE', 'zrender/LICENSE', 'tslib/LICENSE.txt']
	.map((file) => `${file}\n\n${readFileSync(`${folder}/node_modules/${file}`, 'utf8')}`)
	.join('\n')
	.replaceAll('<', '(')

// A function as replacement: `$&` in minified code is no pattern. An end tag inside a script would end it.
const script = bundled('main.js').replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--')
const page = readFileSync(`${web}/page.html`, 'utf8')
	.replace('/*STYLES*/', () => bundled('style.css'))
	.replace('/*LICENCES*/', () => licences)
	.replace('/*SCRIPTS*/', () => script)
writeFileSync(`${folder}/page.html`, page)
