/** The command `check`: reports whether this miner can work, one line for each finding. Changes nothing. */
import { ownHotkey } from '@horde/chain/settings'
import { engineUrl } from '@horde/engine/engine-address'
import { type Finding, warn } from '@horde/kit/check/finding'
import { printFindings } from '@horde/kit/check/report'
import { checkDatabase } from '@horde/operator/check/database'
import { hotkeyFindings, settingsFindings } from '@horde/operator/check/own-settings'
import { diskRules, lookAtDisks } from '@horde/operator/watch/disk'
import { type MinerConfig, readMinerConfig, readPools } from '../config.ts'
import { migrationsFolder } from '../db/migrations.ts'
import type { PoolSettings } from '../horde/pools/pool-settings.ts'
import { poolFindings } from '../operator/check/executors.ts'
import { addressFindings, chainFindings, portFinding } from '../operator/check/network.ts'
import { diskFolders } from '../operator/watches/disks.ts'
import { lookAtEngine } from '../operator/watches/engine.ts'
import { enginesOf } from '../operator/watches/miner-watches.ts'
import type { CommandDeps } from './command-line.ts'

/** Returns the exit code: 0 when nothing is bad, else 1. */
export function check(deps: CommandDeps, signal: AbortSignal): Promise<number> {
  return printFindings(findings(deps, signal), deps.print)
}

async function* findings(deps: CommandDeps, signal: AbortSignal): AsyncGenerator<Finding> {
  const settings = yield* settingsFindings(() => readSettings(deps.environment))
  if (settings === undefined) return
  const { config } = settings
  if (config.MIGRATING)
    yield warn('migrating', 'the miner takes no new jobs', 'unset MIGRATING when it is to work again')
  const hotkey = yield* hotkeyFindings(() => ownHotkey(config))
  yield* surroundings(config, hotkey, deps.databaseConnectMs, signal)
  yield* hosts(settings, hotkey)
}

async function readSettings(environment: NodeJS.ProcessEnv): Promise<Settings> {
  const config = readMinerConfig(environment)
  return { config, pools: await readPools(config) }
}

async function* surroundings(
  config: MinerConfig,
  hotkey: string | undefined,
  connectMs: number | undefined,
  signal: AbortSignal,
) {
  const metagraph = yield* chainFindings(config, hotkey, signal)
  const owner = { service: 'miner', migrationsFolder, connectMs }
  const { finding, isInUse } = await checkDatabase(config.databaseUrl, owner, signal)
  yield finding
  yield await portFinding(config, hotkey, isInUse)
  yield* addressFindings(config, hotkey, metagraph, signal)
}

/** Checks the hosts of the executors. */
async function* hosts({ config, pools }: Settings, hotkey: string | undefined) {
  const engines = enginesOf(pools, config)
  yield* await lookAtDisks(await diskFolders(config, pools), diskRules(config))
  const missing = new Set<string>()
  for (const use of engines) {
    const found = await lookAtEngine(use)
    yield* found
    if (found.some(({ verdict }) => verdict !== 'ok')) missing.add(engineUrl(use.engine))
  }
  for (const pool of pools) {
    const { manager, engine, name } = pool
    if (manager === 'docker' && missing.has(engineUrl(engine))) {
      yield warn(`executors of ${name}`, 'could not be looked at', 'see the lines about their engine above')
    } else yield* poolFindings(pool, config, `check of ${hotkey ?? 'a miner'}`)
  }
}

type Settings = { config: MinerConfig; pools: PoolSettings[] }
