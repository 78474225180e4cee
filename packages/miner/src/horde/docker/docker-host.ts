/** A host of executors: its engine, and what is done there for one pool of one miner. */
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { EngineClient } from './engine-client.ts'
import type { ExecutorImage } from './executor-image.ts'

export interface DockerHost {
  readonly engine: EngineClient
  readonly image: string
  /** The network that containers join; undefined: the engine's bridge. */
  readonly network: string | undefined
  readonly executorImage: ExecutorImage
  /** Whose the containers are, as their label says. */
  readonly owner: string
  /** How long an executor may take to clean up after SIGTERM, in milliseconds, before it is killed. */
  readonly stopWithinMs: number
  /** Ids and names of containers that could not be removed: nobody uses them any more. */
  readonly leftovers: Set<string>
  /** The tokens that executors of an earlier run may have: the others are to be ended, once the engine can be asked. */
  overdue: ReadonlySet<string> | undefined
  readonly clock: Clock
  readonly log: Log
  /** Aborts when the manager is closed: nothing is watched any more. */
  readonly closed: AbortSignal
}

/** Stops a container, unless it has ended, and removes it. One for which that fails is left over, and this rejects. */
export async function endContainer(id: string, host: DockerHost): Promise<void> {
  host.leftovers.delete(id)
  try {
    await host.engine.stopContainer(id, host.stopWithinMs)
    await host.engine.removeContainer(id)
  } catch (error) {
    host.leftovers.add(id)
    throw error
  }
}

/** Whoever starts an executor may count on what those before it had: what is left of them goes first. */
export async function endLeftovers(host: DockerHost): Promise<void> {
  await Promise.all([...host.leftovers].map(id => endContainer(id, host)))
}
