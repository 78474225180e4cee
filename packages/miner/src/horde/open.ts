import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { MinerConfig } from '../config.ts'
import { dockerManager } from './docker.ts'
import type { ExecutorManager } from './manager.ts'
import { loadManager } from './module.ts'
import { processManager } from './process.ts'

/**
 * The manager that the settings name.
 *
 * @param owner whose containers it starts; those that an earlier one of this owner left are removed
 */
export function openManager(config: MinerConfig, owner: string, clock: Clock, log: Log): Promise<ExecutorManager> {
  const stopWithinMs = config.EXECUTOR_STOP_SECONDS * 1000
  switch (config.EXECUTOR_MANAGER) {
    case 'process':
      return Promise.resolve(processManager({ environment: config.processEnvironment, stopWithinMs, clock }))
    case 'docker': {
      const { EXECUTOR_IMAGE: image, DOCKER_SOCKET: socketPath } = config
      return dockerManager({ image, socketPath, owner, stopWithinMs, clock, log })
    }
    default:
      return loadManager(config.EXECUTOR_MANAGER, { log })
  }
}
