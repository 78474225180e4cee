/** What this miner watches, by its settings and its pools. */
import { tmpdir } from 'node:os'
import type { Chain } from '@horde/chain/chain'
import type { Metagraph } from '@horde/chain/metagraph'
import type { Database } from '@horde/kit/database'
import { parseDatabaseUrl } from '@horde/kit/database/url'
import type { Clock } from '@horde/kit/time'
import type { MinerConfig } from '../config.ts'
import type { PoolSettings } from '../horde/pools/pool-settings.ts'
import { clockWatch } from './clock.ts'
import { databaseWatch } from './database.ts'
import { type DiskFolder, type DiskRules, diskWatch } from './disk.ts'
import { type EngineUse, engineWatch } from './engine.ts'
import { gpuWatch } from './gpus.ts'
import { localEngine } from './local-engine.ts'
import { registrationWatch } from './registration.ts'
import { usedGpus } from './used-gpus.ts'
import type { Watch } from './watches.ts'

export type MinerWatchesDeps = {
  config: MinerConfig
  chain: Chain
  hotkey: string
  db: Database
  /** The pools that take jobs now. */
  pools(): readonly PoolSettings[]
  /** The subnet as the chain said it last. */
  metagraph(): Metagraph | undefined
  clock: Clock
}

export function minerWatches({ config, chain, hotkey, db, pools, metagraph, clock }: MinerWatchesDeps): Watch[] {
  const engines = () => enginesOf(pools(), config)
  return [
    registrationWatch(hotkey, metagraph),
    clockWatch({ chain, clock }),
    databaseWatch(db, clock),
    diskWatch(signal => diskFolders(config, engines(), signal), diskRules(config)),
    engineWatch(engines),
    gpuWatch(() => usedGpus(pools()), config.processEnvironment),
  ]
}

/** The engines of this machine that the pools use, each with its images. */
export function enginesOf(pools: readonly PoolSettings[], config: MinerConfig): EngineUse[] {
  const images = new Map<string, Set<string>>()
  for (const { manager, engine, image } of pools) {
    if (manager !== 'docker' || !('socket' in engine)) continue
    images.set(engine.socket, (images.get(engine.socket) ?? new Set()).add(image))
  }
  const mayPull = !config.DEBUG_SKIP_PULLING_EXECUTOR_IMAGE
  return [...images].map(([socket, names]) => ({ engine: localEngine(socket), images: [...names], mayPull }))
}

export function diskRules(config: MinerConfig): DiskRules {
  return { lowBytes: config.DISK_LOW_BYTES, fullBytes: config.DISK_FULL_BYTES }
}

/** An engine that does not answer is another watch's business. */
export async function diskFolders(
  config: MinerConfig,
  engines: readonly EngineUse[],
  signal: AbortSignal,
): Promise<DiskFolder[]> {
  const target = parseDatabaseUrl(config.databaseUrl)
  const folder = 'folder' in target ? target.folder : undefined
  const ofEngines = await Promise.all(
    engines.filter(({ engine }) => engine.isHere).map(({ engine }) => engine.facts(signal).catch(() => undefined)),
  )
  return [
    ...(folder === undefined ? [] : [{ of: 'database', path: folder }]),
    { of: 'temporary files', path: tmpdir() },
    ...ofEngines.flatMap(facts => (facts ? [{ of: 'images', path: facts.dataFolder, mayBeElsewhere: true }] : [])),
  ]
}
