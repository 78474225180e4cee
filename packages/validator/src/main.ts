/** The validator: reads its settings, opens what must be closed, and works until it is told to stop. */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ownHotkey } from '@horde/chain/settings'
import { connectSubtensor } from '@horde/chain/subtensor'
import { openDatabase } from '@horde/kit/database'
import { createLog } from '@horde/kit/log'
import { runService } from '@horde/kit/run'
import { systemClock } from '@horde/kit/time'
import { wireValidator } from './app.ts'
import { loadBenchmark } from './benchmarks/load-benchmark.ts'
import { batchCommand } from './commands/batch.ts'
import { serve } from './commands/serve.ts'
import { readValidatorConfig } from './config.ts'

const migrationsFolder = fileURLToPath(new URL('../drizzle', import.meta.url))

/** sysexits' EX_USAGE: the command line is wrong. */
const EXIT_USAGE = 64

const USAGE = `usage: node packages/validator/src/main.ts                 serve until stopped
       node packages/validator/src/main.ts batch [--json]  one batch, one setting of weights
`

interface Command {
  name: 'serve' | 'batch'
  json: boolean
}

async function main(signal: AbortSignal): Promise<number | undefined> {
  const command = readCommand(process.argv.slice(2))
  if (!command) {
    process.stderr.write(USAGE)
    return EXIT_USAGE
  }
  const config = readValidatorConfig(process.env)
  // A command's stdout is its result.
  const output = command.name === 'serve' ? {} : { destination: process.stderr }
  const log = createLog('validator', { level: config.LOG_LEVEL, ...output })
  const hotkey = await ownHotkey(config)
  const benchmark = await loadBenchmark(config.benchmarkSettings)
  await using database = await openDatabase({ url: config.databaseUrl, migrationsFolder, log, signal })
  await using chain = await connectSubtensor({ endpoints: config.BITTENSOR_NETWORK, log, signal })
  const deps = { config, chain, hotkey, benchmark, database, clock: systemClock, log }
  if (command.name === 'serve') {
    await serve(deps, signal)
    return undefined
  }
  const print = (text: string) => void process.stdout.write(text)
  return await batchCommand(command.json, { validator: wireValidator(deps), print, log }, signal)
}

function readCommand(args: string[]): Command | undefined {
  try {
    const { values, positionals } = parseArgs({ args, options: { json: { type: 'boolean' } }, allowPositionals: true })
    const [name = 'serve', ...more] = positionals
    if ((name !== 'serve' && name !== 'batch') || more.length > 0) return undefined
    return { name, json: values.json ?? false }
  } catch {
    return undefined
  }
}

await runService('validator', main)
