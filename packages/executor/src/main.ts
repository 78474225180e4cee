/** Reads the settings of a command and runs it. The program itself is `start.js`. */
import { readSettings } from '@horde/kit/config'
import { runService } from '@horde/kit/run'
import { version } from '@horde/kit/version'
import { startupLimitMs } from './command-line.ts'
import { hostSettings, settings } from './config.ts'

await runService('executor', async signal => {
  if (process.argv[2] === '--version') {
    process.stdout.write(`${version}\n`)
    return
  }
  if (process.argv[2] === 'preload') {
    const { preload } = await import('./preload.ts')
    return preload(readSettings(hostSettings, process.env), signal)
  }
  if (process.argv[2] === 'check') {
    const { check } = await import('./check.ts')
    return check(process.env)
  }
  // Other miners start their executors with a command of their own. Only its limit of the start counts.
  const { serve } = await import('./serve.ts')
  return serve(readSettings(settings, process.env), startupLimitMs(process.argv), signal)
})
