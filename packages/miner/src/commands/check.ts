/** The command `check`: whether this miner can work, one line for everything that was looked at. Nothing is changed. */
import { ownHotkey } from '@horde/chain/settings'
import { engineUrl } from '@horde/engine/engine-address'
import { lookAtDatabase } from '@horde/kit/check/database'
import { mistakesOf, printFindings } from '@horde/kit/check/report'
import { lookAtDisks } from '@horde/kit/watch/disk'
import { type Finding, ok, warn } from '@horde/kit/watch/finding'
import { addressFindings } from '../check/address.ts'
import { chainFindings } from '../check/chain.ts'
import { poolFindings } from '../check/executors.ts'
import { portFinding } from '../check/port.ts'
import { type MinerConfig, readMinerConfig, readPools } from '../config.ts'
import { migrationsFolder } from '../db/migrations.ts'
import type { PoolSettings } from '../horde/pools/pool-settings.ts'
import { diskFolders, diskRules } from '../watch/disks.ts'
import { lookAtEngine } from '../watch/engine.ts'
import { enginesOf } from '../watch/miner-watches.ts'
import type { CommandDeps } from './run-command.ts'

/** Gives the exit code: 0 when nothing is bad, else 1. */
export function check({ environment, print }: CommandDeps, signal: AbortSignal): Promise<number> {
  return printFindings(findings(environment, signal), print)
}

async function* findings(environment: NodeJS.ProcessEnv, signal: AbortSignal): AsyncGenerator<Finding> {
  const settings = await settingsOr(environment)
  if (Array.isArray(settings)) return yield* settings
  yield ok('settings', 'all can be read')
  const { config } = settings
  if (config.MIGRATING)
    yield warn('migrating', 'the miner takes no new jobs', 'unset MIGRATING when it is to work again')
  const hotkey = yield* hotkeyFindings(config)
  yield* surroundings(config, hotkey, signal)
  yield* hosts(settings, hotkey)
}

/** Gives the hotkey; undefined when there is none to be had: what needs none is looked at all the same. */
async function* hotkeyFindings(config: MinerConfig): AsyncGenerator<Finding, string | undefined> {
  try {
    const { ss58 } = await ownHotkey(config)
    yield ok('hotkey', ss58)
    return ss58
  } catch (error) {
    yield* mistakesOf(error)
    return undefined
  }
}

async function* surroundings(config: MinerConfig, hotkey: string | undefined, signal: AbortSignal) {
  const metagraph = yield* chainFindings(config, hotkey, signal)
  const { finding, isInUse } = await lookAtDatabase(config.databaseUrl, { service: 'miner', migrationsFolder }, signal)
  yield finding
  yield await portFinding(config, hotkey, isInUse)
  yield* addressFindings(config, hotkey, metagraph, signal)
}

/** What is found where executors run. */
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

/** The settings, or what is wrong with them. */
async function settingsOr(environment: NodeJS.ProcessEnv): Promise<Settings | Finding[]> {
  try {
    const config = readMinerConfig(environment)
    return { config, pools: await readPools(config) }
  } catch (error) {
    return mistakesOf(error)
  }
}
