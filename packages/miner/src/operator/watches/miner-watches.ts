/** The watches of a miner, and what they share with `check`. */
import { neuronNames, registerCommand } from '@horde/chain/btcli/commands'
import type { Chain } from '@horde/chain/chain'
import type { Metagraph } from '@horde/chain/metagraph'
import { type EngineAddress, engineUrl } from '@horde/engine/engine-address'
import type { Database } from '@horde/kit/database'
import type { Clock } from '@horde/kit/time'
import { clockWatch } from '@horde/operator/watch/clock'
import { databaseWatch } from '@horde/operator/watch/database'
import { type OwnNeuron, registrationWatch } from '@horde/operator/watch/registration'
import type { Watch } from '@horde/operator/watch/watches'
import { AUTHENTICATION_WINDOW_SECONDS } from '@horde/protocol/v0/validator-miner'
import type { MinerConfig } from '../../config.ts'
import type { ExecutorManager } from '../../horde/manager.ts'
import type { PoolSettings } from '../../horde/pools/pool-settings.ts'
import { poolDiskWatch } from './disks.ts'
import type { EngineUse } from './engine.ts'
import { gpuWatch } from './gpus.ts'
import { closing, poolWatch } from './pools.ts'
import { gpuPool } from './used-gpus.ts'

export type MinerWatchesDeps = {
  config: MinerConfig
  chain: Chain
  hotkey: string
  db: Database
  /** Returns the pools that take jobs now. */
  pools(): readonly { settings: PoolSettings; manager: ExecutorManager }[]
  /** Returns the chain's last answer about the subnet; undefined before the first one. */
  metagraph(): Metagraph | undefined
  clock: Clock
}

export function minerWatches({ config, chain, hotkey, db, pools, metagraph, clock }: MinerWatchesDeps): Watch[] {
  const settings = () => pools().map(({ settings }) => settings)
  const managers = () => pools().map(({ settings: { name }, manager }) => ({ name, manager }))
  return [
    registrationWatch(ownNeuron(hotkey, config), metagraph),
    clockWatch({ chain, clock }, AUTHENTICATION_WINDOW_SECONDS),
    closing(databaseWatch(db, clock), () => settings().map(({ name }) => name)),
    poolDiskWatch(pools, config),
    poolWatch(managers),
    gpuWatch(() => pools().map(({ settings, manager }) => gpuPool(settings, manager, config))),
  ]
}

/** Returns what the registration watch and `check` need to know of this miner. */
export function ownNeuron(hotkey: string, config: MinerConfig): OwnNeuron {
  const purpose = 'validators find miners through the chain'
  return { hotkey, registerCommand: registerCommand(neuronNames(config)), purpose }
}

/** Returns the engines that the pools use, each with its executors' images. */
export function enginesOf(pools: readonly PoolSettings[], config: MinerConfig): EngineUse[] {
  const uses = new Map<string, { engine: EngineAddress; images: Set<string> }>()
  for (const { engine, image } of pools.filter(({ manager }) => manager === 'docker')) {
    const use = uses.get(engineUrl(engine)) ?? { engine, images: new Set() }
    uses.set(engineUrl(engine), { ...use, images: use.images.add(image) })
  }
  const mayPull = !config.DEBUG_SKIP_PULLING_EXECUTOR_IMAGE
  return [...uses.values()].map(({ engine, images }) => ({ engine, images: [...images], mayPull }))
}
