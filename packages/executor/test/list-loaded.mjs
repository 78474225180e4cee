/**
 * Preloaded into an executor: at its exit it tells which packages it has loaded, which modules of the protocol, and
 * whether Node's type stripper.
 */
import { writeSync } from 'node:fs'
import { registerHooks } from 'node:module'

const STDOUT = 1
const packages = new Set()

registerHooks({
  load(url, context, next) {
    const [, own, library] = /\/packages\/([^/]+)\/src\/|.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url) ?? []
    if (own ?? library) packages.add(library ?? `@horde/${own}`)
    const [, module] = /\/packages\/protocol\/src\/(.*)\.ts/.exec(url) ?? []
    if (module) packages.add(`@horde/protocol/${module}`)
    return next(url, context)
  },
})

process.on('exit', () => {
  const stripper = process.moduleLoadList.some(name => name.includes('amaro'))
  writeSync(STDOUT, `loaded ${[...packages].sort().join(' ')}\ntype stripper: ${stripper}\n`)
})
