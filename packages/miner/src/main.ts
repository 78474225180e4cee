/** The miner: reads its settings, opens what must be closed, and works until it is told to stop. */
import { fileURLToPath } from 'node:url'
import { ownHotkey } from '@horde/chain/settings'
import { connectSubtensor } from '@horde/chain/subtensor'
import { openDatabase } from '@horde/kit/database'
import { createLog, type Log } from '@horde/kit/log'
import { runService } from '@horde/kit/run'
import { systemClock } from '@horde/kit/time'
import { type RunningMiner, startMiner } from './app.ts'
import { type MinerConfig, readMinerConfig, readPools } from './config.ts'
import { openManager, usualHost } from './horde/open.ts'
import type { PoolSettings } from './horde/pools/pool-settings.ts'

const migrationsFolder = fileURLToPath(new URL('../drizzle', import.meta.url))

/** How long closing may take beyond what running jobs and their executors are given, in milliseconds. */
const CLOSE_MS = 10_000

async function main(signal: AbortSignal): Promise<void> {
  const config = readMinerConfig(process.env)
  const log = createLog('miner', { level: config.LOG_LEVEL })
  const clock = systemClock
  const hotkey = await ownHotkey(config)
  const pools = await readPools(config)
  await using database = await openDatabase({ url: config.databaseUrl, migrationsFolder, log, signal })
  await using chain = await connectSubtensor({ endpoints: config.BITTENSOR_NETWORK, log, signal })
  const deps = {
    config,
    chain,
    hotkey,
    pools,
    db: database.db,
    openManager: opener(config, hotkey.ss58, log),
    hostFor: hostFor(config),
    clock,
    log,
  }
  await using miner = await startMiner(deps, signal)
  onHangup = () => void reload(miner, config, log)
  await aborted(signal)
}

function opener(config: MinerConfig, owner: string, log: Log) {
  const { processEnvironment } = config
  const pullImage = !config.DEBUG_SKIP_PULLING_EXECUTOR_IMAGE
  const stopWithinMs = config.EXECUTOR_STOP_SECONDS * 1000
  return (pool: PoolSettings) =>
    openManager(pool, { owner, processEnvironment, pullImage, stopWithinMs, clock: systemClock, log })
}

function hostFor({ ADDRESS_FOR_EXECUTORS }: MinerConfig) {
  return async (pool: PoolSettings) => pool.address ?? ADDRESS_FOR_EXECUTORS ?? (await usualHost(pool))
}

/** What SIGHUP does, once there is something to reload. */
let onHangup = () => {}

/** Goes on with the pools as their file says now; with those it has, when that is wrong. */
async function reload(miner: RunningMiner, config: MinerConfig, log: Log): Promise<void> {
  try {
    await miner.reload(await readPools(config))
    log.info('pools reloaded')
  } catch (err) {
    log.error({ err }, 'pools not reloaded: they stay as they are')
  }
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

await runService('miner', run, { stopWithinMs: CLOSE_MS + stopSeconds() * 1000, onHangup: () => onHangup() })

/** The last resort must wait for what the settings allow; wrong settings end the service anyway. */
function stopSeconds(): number {
  try {
    const { STOP_GRACE_SECONDS, EXECUTOR_STOP_SECONDS } = readMinerConfig(process.env)
    return STOP_GRACE_SECONDS + 2 * EXECUTOR_STOP_SECONDS
  } catch {
    return 0
  }
}
