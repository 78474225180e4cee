/** Preloaded into an executor: at its exit it tells which packages it has loaded, and whether Node's type stripper. */
import { writeSync } from 'node:fs'
import { registerHooks } from 'node:module'

const STDOUT = 1
const packages = new Set()

registerHooks({
  load(url, context, next) {
    const [, own, library] = /\/packages\/([^/]+)\/src\/|.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url) ?? []
    if (own ?? library) packages.add(library ?? `@horde/${own}`)
    return next(url, context)
  },
})

process.on('exit', () => {
  const stripper = process.moduleLoadList.some(name => name.includes('amaro'))
  writeSync(STDOUT, `loaded ${[...packages].sort().join(' ')}\ntype stripper: ${stripper}\n`)
})
