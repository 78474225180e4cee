/** The command `serve`: reads the settings, opens everything that must be closed, and runs the miner until a signal. */
import { ownHotkey, validatorRuleOf } from '@horde/chain/settings'
import { connectSubtensor } from '@horde/chain/subtensor'
import { openDatabase } from '@horde/kit/database'
import { createLog, type Log } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { type RunningMiner, startMiner } from '../app.ts'
import { type MinerConfig, readMinerConfig, readPools } from '../config.ts'
import { migrationsFolder } from '../db/migrations.ts'
import { openManager, usualHost } from '../horde/open-manager.ts'
import type { PoolSettings } from '../horde/pools/pool-settings.ts'
import type { CommandDeps } from './command-line.ts'

export async function serve({ environment, setOnHangup }: CommandDeps, signal: AbortSignal): Promise<number> {
  const config = readMinerConfig(environment)
  const log = createLog('miner', { level: config.LOG_LEVEL })
  const clock = systemClock
  const hotkey = await ownHotkey(config)
  const pools = await readPools(config)
  await using database = await openDatabase({ url: config.databaseUrl, migrationsFolder, log, signal })
  const [endpoints, validatorRule] = [config.BITTENSOR_NETWORK, validatorRuleOf(config)]
  await using chain = await connectSubtensor({ endpoints, validatorRule, mayBeAway: true, log, signal })
  const deps = {
    config,
    chain,
    hotkey,
    pools,
    db: database.db,
    reclaimSpace: database.reclaimSpace,
    openManager: opener(config, hotkey.ss58, log),
    hostFor: hostFor(config),
    clock,
    log,
  }
  await using miner = await startMiner(deps, signal)
  // Reloads run one after the other.
  let reloaded = Promise.resolve()
  setOnHangup(() => {
    reloaded = reloaded.then(() => reload(miner, config, log))
  })
  await aborted(signal)
  return 0
}

function opener(config: MinerConfig, owner: string, log: Log) {
  const { processEnvironment, EXECUTOR_NETWORK: network } = config
  const pullImage = !config.DEBUG_SKIP_PULLING_EXECUTOR_IMAGE
  const stopWithinMs = config.EXECUTOR_STOP_SECONDS * 1000
  const localImages = new Set<string>()
  const shared = { owner, processEnvironment, network, pullImage, localImages, stopWithinMs, clock: systemClock, log }
  const options = { ...shared, startupSeconds: config.PREPARE_SECONDS }
  return (pool: PoolSettings) => openManager(pool, options)
}

function hostFor({ ADDRESS_FOR_EXECUTORS }: MinerConfig) {
  return async (pool: PoolSettings) => pool.address ?? ADDRESS_FOR_EXECUTORS ?? (await usualHost(pool))
}

/** Replaces the pools by those in the file now. If the file is wrong, the pools stay as they are. */
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
