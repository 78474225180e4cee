/** A host of executors: its engine, and what is done there for one pool of one miner. */
import type { Engine } from '@horde/engine/engine'
import { EngineError } from '@horde/engine/engine-error'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { containerIdentity, EXECUTOR_LABEL } from '@horde/protocol/executor-labels'
import type { ExecutorImage } from './executor-image.ts'

export interface DockerHost {
  readonly engine: Engine
  /** The engine's socket on its own host, for the executors there. */
  readonly socket: string
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

/**
 * Stops a container, unless it has ended, and removes it, and then the containers of jobs that it made as an executor and could
 * not remove. One for which that fails is left over, and this rejects.
 */
export async function endContainer(id: string, host: DockerHost, withinMs = host.stopWithinMs): Promise<void> {
  host.leftovers.delete(id)
  try {
    await host.engine.containers.stop(id, withinMs)
    await host.engine.containers.remove(id)
    const made = await host.engine.containers.withLabel(`${EXECUTOR_LABEL}=${containerIdentity(id)}`)
    await Promise.all(made.map(container => host.engine.containers.remove(container.id)))
  } catch (error) {
    host.leftovers.add(id)
    throw error
  }
}

/**
 * Ends a container that could not be made or started, by its name. An engine that is only late may still make it: then it is
 * ended once the engine has answered, and nothing waits for that. A manager that is closed first leaves it, not started, to
 * `takeOver` of the miner's next run: an engine that stands still would hold the miner's stop up for minutes.
 */
export async function endFailed(name: string, error: unknown, host: DockerHost): Promise<void> {
  const lateAnswer = error instanceof EngineError ? error.lateAnswer : undefined
  if (lateAnswer === undefined) return endContainer(name, host)
  host.log.warn({ container: name }, 'the engine is late; a container that it still makes will be removed')
  const answered = lateAnswer.catch(() => {})
  void answered
    .then(() => (host.closed.aborted ? undefined : endContainer(name, host)))
    .catch(err => host.log.warn({ err, container: name }, 'a container that an engine made late could not be removed'))
}

/** Whoever starts an executor may count on what those before it had: what is left of them goes first. */
export async function endLeftovers(host: DockerHost): Promise<void> {
  await Promise.all([...host.leftovers].map(id => endContainer(id, host)))
}
