/** Preloaded into an executor: at its exit it prints how many modules it has loaded. */
import { writeSync } from 'node:fs'
import { registerHooks } from 'node:module'

const STDOUT = 1
let modules = 0

registerHooks({
  load(url, context, next) {
    modules += 1
    return next(url, context)
  },
})

process.on('exit', () => writeSync(STDOUT, `modules loaded: ${modules}\n`))
