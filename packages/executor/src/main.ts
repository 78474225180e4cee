/** Entry point: `node packages/executor/src/main.ts`, started by a miner for one job. */
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

// What is imported from here on comes compiled, from the second start on.
enableCompileCache(fileURLToPath(new URL('../../../node_modules/.cache/compute-horde', import.meta.url)))
const { runService } = await import('@horde/kit/run')
const { readSettings } = await import('@horde/kit/config')
const { settings, hostSettings } = await import('./config.ts')

await runService('executor', async signal => {
  if (process.argv[2] === 'preload') {
    const { preload } = await import('./preload.ts')
    return preload(readSettings(hostSettings, process.env), signal)
  }
  // Other miners name a command of theirs: it means what none means.
  const { serve } = await import('./serve.ts')
  return serve(readSettings(settings, process.env), signal)
})
