import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { ConfigError } from '@horde/kit/config'
import { createLog } from '@horde/kit/log'
import { runService } from '@horde/kit/run'
import { readFlags } from './config.ts'
import { startDevchain } from './devchain.ts'
import { type Genesis, GenesisError } from './genesis.ts'
import { StateFileError } from './state/state-file.ts'

await runService('devchain', async signal => {
  const flags = readFlags(process.argv.slice(2))
  const genesis = await readGenesis(flags['--genesis'])
  const log = createLog('devchain')
  await using chain = await startDevchain({
    host: flags['--host'],
    port: flags['--port'],
    blockMs: flags['--block-ms'],
    genesis,
    ...(flags['--state'] === undefined ? {} : { stateFile: flags['--state'] }),
    log,
  }).catch(asMistake)
  log.info({ url: chain.url, block: chain.blockNumber(), blockMs: flags['--block-ms'] }, 'listening')
  if (!signal.aborted) await once(signal, 'abort')
})

async function readGenesis(path: string): Promise<Genesis> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    const problem = error instanceof SyntaxError ? `${path} is not JSON: ${error.message}` : `${path} cannot be read`
    throw new ConfigError([{ name: '--genesis', problem }])
  }
}

/** Mistakes in the operator's files are reported without a stack. */
function asMistake(error: unknown): never {
  if (error instanceof GenesisError) throw new ConfigError([{ name: '--genesis', problem: error.message }])
  if (error instanceof StateFileError) throw new ConfigError([{ name: '--state', problem: error.message }])
  throw error
}
