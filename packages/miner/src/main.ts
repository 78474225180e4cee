/** The miner: reads its settings, opens what must be closed, and works until it is told to stop. */
import { fileURLToPath } from 'node:url'
import { ownHotkey } from '@horde/chain/settings'
import { connectSubtensor } from '@horde/chain/subtensor'
import { openDatabase } from '@horde/kit/database'
import { createLog } from '@horde/kit/log'
import { runService } from '@horde/kit/run'
import { systemClock } from '@horde/kit/time'
import { startMiner } from './app.ts'
import { type MinerConfig, readMinerConfig } from './config.ts'
import { bridgeAddress } from './horde/docker.ts'
import { openManager } from './horde/open.ts'

const migrationsFolder = fileURLToPath(new URL('../drizzle', import.meta.url))

/** How long closing may take beyond what running jobs and their executors are given, in milliseconds. */
const CLOSE_MS = 10_000

async function main(signal: AbortSignal): Promise<void> {
  const config = readMinerConfig(process.env)
  const log = createLog('miner', { level: config.LOG_LEVEL })
  const clock = systemClock
  const hotkey = await ownHotkey(config)
  await using database = await openDatabase({ url: config.databaseUrl, migrationsFolder, log, signal })
  await using chain = await connectSubtensor({ endpoints: config.BITTENSOR_NETWORK, log, signal })
  const manager = await openManager(config, hotkey.ss58, clock, log)
  await using stack = new AsyncDisposableStack()
  stack.defer(() => manager.close?.())
  const addressForExecutors = config.ADDRESS_FOR_EXECUTORS ?? (await defaultAddress(config))
  const deps = { config, chain, hotkey, addressForExecutors, db: database.db, manager, clock, log }
  stack.use(await startMiner(deps, signal))
  await aborted(signal)
}

async function defaultAddress({ EXECUTOR_MANAGER, DOCKER_SOCKET }: MinerConfig): Promise<string> {
  return EXECUTOR_MANAGER === 'docker' ? bridgeAddress(DOCKER_SOCKET) : '127.0.0.1'
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

async function run(signal: AbortSignal): Promise<number> {
  if (process.argv[2] === 'check') {
    const { check } = await import('./check.ts')
    return check(process.env)
  }
  await main(signal)
  return 0
}

await runService('miner', run, { stopWithinMs: CLOSE_MS + stopSeconds() * 1000 })

/** The last resort must wait for what the settings allow; wrong settings end the service anyway. */
function stopSeconds(): number {
  try {
    const { STOP_GRACE_SECONDS, EXECUTOR_STOP_SECONDS } = readMinerConfig(process.env)
    return STOP_GRACE_SECONDS + 2 * EXECUTOR_STOP_SECONDS
  } catch {
    return 0
  }
}
