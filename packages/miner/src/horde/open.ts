import { ConfigError } from '@horde/kit/config'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { LocalImages } from './docker/executor-image.ts'
import { bridgeAddress, dockerManager } from './docker.ts'
import type { ExecutorManager } from './manager.ts'
import { loadManager } from './module.ts'
import type { PoolSettings } from './pools/pool-settings.ts'
import { processManager } from './process.ts'

export type OpenManagerOptions = {
  /** Whose executors it starts; those of an earlier run of this owner are found by it. */
  owner: string
  /** The environment that processes begin with. */
  processEnvironment: Readonly<Record<string, string>>
  /** The network that containers on this machine's engine join; undefined: the engine's bridge. */
  network: string | undefined
  /** Whether an executor image that an engine lacks is pulled. */
  pullImage: boolean
  /** What the managers of one miner know of images that came from no registry. Unset: what each sees itself. */
  localImages?: LocalImages
  /** How long an executor may take to clean up after SIGTERM, in milliseconds, before it is killed. */
  stopWithinMs: number
  clock: Clock
  log: Log
}

/** The manager of a pool. */
export function openManager(pool: PoolSettings, options: OpenManagerOptions): Promise<ExecutorManager> {
  const { owner, processEnvironment: environment, stopWithinMs, clock, log } = options
  // A network of this machine's engine means nothing to another.
  const network = 'socket' in pool.engine ? options.network : undefined
  switch (pool.manager) {
    case 'process':
      return Promise.resolve(processManager({ owner, environment, stopWithinMs, clock }))
    case 'docker':
      return dockerManager({ ...options, image: pool.image, engine: pool.engine, network })
    default:
      return loadManager(pool.manager, { log })
  }
}

/**
 * The host that a pool's executors dial where no setting says one.
 *
 * @throws ConfigError when only a setting can
 */
export async function usualHost({ name, manager, engine }: PoolSettings): Promise<string> {
  if (manager !== 'docker') return '127.0.0.1'
  if ('socket' in engine) return bridgeAddress(engine.socket)
  const problem = `executors of pool ${name} run on another host: the pool needs an address at which they reach this miner`
  throw new ConfigError([{ name: 'POOLS_FILE', problem }])
}
