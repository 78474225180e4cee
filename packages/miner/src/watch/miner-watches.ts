/** What this miner watches, by its settings and its pools. */
import { neuronNames } from '@horde/chain/btcli/commands'
import type { Chain } from '@horde/chain/chain'
import type { Metagraph } from '@horde/chain/metagraph'
import { clockWatch } from '@horde/chain/watch/clock'
import { registrationWatch } from '@horde/chain/watch/registration'
import { type EngineAddress, engineUrl } from '@horde/engine/engine-address'
import type { Database } from '@horde/kit/database'
import type { Clock } from '@horde/kit/time'
import { databaseWatch } from '@horde/kit/watch/database'
import type { Watch } from '@horde/kit/watch/watches'
import { AUTHENTICATION_WINDOW_SECONDS } from '@horde/protocol/validator-miner'
import type { MinerConfig } from '../config.ts'
import type { ExecutorManager } from '../horde/manager.ts'
import type { PoolSettings } from '../horde/pools/pool-settings.ts'
import { poolDiskWatch } from './disks.ts'
import type { EngineUse } from './engine.ts'
import { gpuWatch } from './gpus.ts'
import { closing, poolWatch } from './pools.ts'
import { gpuPool } from './used-gpus.ts'

/** Why a miner must be registered. */
export const WHY_REGISTERED = 'validators find miners through the chain'

export type MinerWatchesDeps = {
  config: MinerConfig
  chain: Chain
  hotkey: string
  db: Database
  /** The pools that take jobs now. */
  pools(): readonly { settings: PoolSettings; manager: ExecutorManager }[]
  /** The subnet as the chain said it last. */
  metagraph(): Metagraph | undefined
  clock: Clock
}

export function minerWatches({ config, chain, hotkey, db, pools, metagraph, clock }: MinerWatchesDeps): Watch[] {
  const settings = () => pools().map(({ settings }) => settings)
  const managers = () => pools().map(({ settings: { name }, manager }) => ({ name, manager }))
  return [
    registrationWatch({ hotkey, names: neuronNames(config), purpose: WHY_REGISTERED }, metagraph),
    clockWatch({ chain, clock }, AUTHENTICATION_WINDOW_SECONDS),
    closing(databaseWatch(db, clock), () => settings().map(({ name }) => name)),
    poolDiskWatch(pools, config),
    poolWatch(managers),
    gpuWatch(() => pools().map(({ settings, manager }) => gpuPool(settings, manager, config))),
  ]
}

/** The engines that the pools use, each with its images. */
export function enginesOf(pools: readonly PoolSettings[], config: MinerConfig): EngineUse[] {
  const uses = new Map<string, { engine: EngineAddress; images: Set<string> }>()
  for (const { engine, image } of pools.filter(({ manager }) => manager === 'docker')) {
    const use = uses.get(engineUrl(engine)) ?? { engine, images: new Set() }
    uses.set(engineUrl(engine), { ...use, images: use.images.add(image) })
  }
  const mayPull = !config.DEBUG_SKIP_PULLING_EXECUTOR_IMAGE
  return [...uses.values()].map(({ engine, images }) => ({ engine, images: [...images], mayPull }))
}
