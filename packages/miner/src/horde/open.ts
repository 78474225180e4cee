import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
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
  /** How long an executor may take to clean up after SIGTERM, in milliseconds, before it is killed. */
  stopWithinMs: number
  clock: Clock
  log: Log
}

/** The manager of a pool. */
export function openManager(pool: PoolSettings, options: OpenManagerOptions): Promise<ExecutorManager> {
  const { owner, processEnvironment: environment, stopWithinMs, clock, log } = options
  switch (pool.manager) {
    case 'process':
      return Promise.resolve(processManager({ owner, environment, stopWithinMs, clock }))
    case 'docker':
      return dockerManager({ image: pool.image, socketPath: pool.engine.socket, owner, stopWithinMs, clock, log })
    default:
      return loadManager(pool.manager, { log })
  }
}

/** The host that a pool's executors dial where no setting says one. */
export async function usualHost({ manager, engine }: PoolSettings): Promise<string> {
  return manager === 'docker' ? bridgeAddress(engine.socket) : '127.0.0.1'
}
