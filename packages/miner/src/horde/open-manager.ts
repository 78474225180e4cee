/** Opens the executor manager of a pool: docker, process, or an operator's own module named by path. */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConfigError } from '@horde/kit/config'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { LocalImages } from './docker/executor-image.ts'
import { bridgeAddress, dockerManager } from './docker.ts'
import type { ExecutorManager } from './manager.ts'
import type { PoolSettings } from './pools/pool-settings.ts'
import { processManager } from './process/process-manager.ts'

export type OpenManagerOptions = {
  /** The miner that owns the executors: those of an earlier run are found by it. */
  owner: string
  /** The base environment of processes. */
  processEnvironment: Readonly<Record<string, string>>
  /** The network that containers on this machine's engine join; undefined: the engine's bridge. */
  network: string | undefined
  /** Whether an executor image that an engine lacks is pulled. */
  pullImage: boolean
  /** Images that came from no registry, as the managers of one miner know them. Unset: each manager has its own. */
  localImages?: LocalImages
  /** How long an executor may take to clean up after SIGTERM, in milliseconds, before it is killed. */
  stopWithinMs: number
  /** How long a Python executor may take from its connection until it is ready, in seconds. */
  startupSeconds: number
  clock: Clock
  log: Log
}

export function openManager(pool: PoolSettings, options: OpenManagerOptions): Promise<ExecutorManager> {
  const { owner, processEnvironment: environment, stopWithinMs, startupSeconds, clock, log } = options
  const { program, folder } = pool
  // A network of this machine's engine means nothing to another.
  const network = 'socket' in pool.engine ? options.network : undefined
  switch (pool.manager) {
    case 'process':
      return Promise.resolve(
        processManager({ owner, environment, stopWithinMs, clock, program, folder, startupSeconds }),
      )
    case 'docker':
      return dockerManager({ ...options, image: pool.image, program, engine: pool.engine, network })
    default:
      return loadManager(pool.manager, { log })
  }
}

/**
 * The host that a pool's executors dial unless a setting names one.
 *
 * @throws ConfigError when only a setting can tell
 */
export async function usualHost({ name, manager, engine }: PoolSettings): Promise<string> {
  if (manager !== 'docker') return '127.0.0.1'
  if ('socket' in engine) return bridgeAddress(engine.socket)
  const where = `executors of pool ${name} run on another host`
  const problem = `${where}: the pool needs an address at which they reach this miner`
  throw new ConfigError([{ name: 'POOLS_FILE', problem }])
}

/** What an operator's module exports under the name `createExecutorManager`. */
export type CreateExecutorManager = (context: { log: Log }) => ExecutorManager | Promise<ExecutorManager>

export class ManagerModuleError extends Error {
  override name = 'ManagerModuleError'
}

/**
 * Loads an operator's module and calls its `createExecutorManager`.
 * @throws ManagerModuleError naming the file and what is missing in it
 */
export async function loadManager(path: string, context: { log: Log }): Promise<ExecutorManager> {
  const file = resolve(path)
  const exported = await importModule(file)
  const create = exported.createExecutorManager
  if (typeof create !== 'function') {
    throw new ManagerModuleError(`${file} does not export a function createExecutorManager`)
  }
  const manager: unknown = await (create as CreateExecutorManager)(context)
  if (!isManager(manager)) {
    throw new ManagerModuleError(`createExecutorManager of ${file} returned nothing with a start function`)
  }
  return manager
}

async function importModule(file: string): Promise<{ createExecutorManager?: unknown }> {
  try {
    return (await import(pathToFileURL(file).href)) as { createExecutorManager?: unknown }
  } catch (cause) {
    throw new ManagerModuleError(`${file} cannot be loaded: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    })
  }
}

function isManager(value: unknown): value is ExecutorManager {
  return typeof value === 'object' && value !== null && 'start' in value && typeof value.start === 'function'
}
