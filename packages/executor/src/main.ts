/** Entry point: `node packages/executor/src/main.ts`, started by a miner for one job. */
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

// What is imported from here on comes compiled, from the second start on.
enableCompileCache(fileURLToPath(new URL('../../../node_modules/.cache/compute-horde', import.meta.url)))
const { runService } = await import('@horde/kit/run')
const { readSettings } = await import('@horde/kit/config')
const { settings } = await import('./config.ts')
const { serve } = await import('./serve.ts')

await runService('executor', signal => serve(readSettings(settings, process.env), signal))
