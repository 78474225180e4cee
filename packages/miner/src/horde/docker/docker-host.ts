/** The host of one pool's executors: its engine, and the removal of containers there. */
import type { Engine } from '@horde/engine/engine'
import { EngineError } from '@horde/engine/engine-error'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { containerIdentity, EXECUTOR_LABEL } from '@horde/protocol/executor/labels'
import { containersOf, type ProgramName } from '../executor-program.ts'
import type { ExecutorImage } from './executor-image.ts'

export interface DockerHost {
  readonly engine: Engine
  /** The engine's socket on its own host, for the executors there. */
  readonly socket: string
  readonly image: string
  readonly program: ProgramName
  /** How long a Python executor may take until it is ready, in seconds. */
  readonly startupSeconds: number
  /** The network that containers join; undefined for the engine's bridge. */
  readonly network: string | undefined
  readonly executorImage: ExecutorImage
  /** The miner to which the containers belong, as their label names it. */
  readonly owner: string
  /** How long an executor may take to clean up after SIGTERM, in ms, before it is killed. */
  readonly stopWithinMs: number
  /** Ids and names of containers that no job uses any more and that could not be removed. */
  readonly orphans: Set<string>
  /**
   * Set when `takeOver` could not ask the engine: the tokens of executors of an earlier run that may go on. All others
   * of that run must be removed before the next start.
   */
  unfinishedTakeOver: ReadonlySet<string> | undefined
  readonly clock: Clock
  readonly log: Log
  /** Aborts when the manager is closed: from then on it watches nothing. */
  readonly closed: AbortSignal
}

/**
 * Stops and removes a container, and then the job containers that it created as an executor and did not remove. When
 * this fails it rejects, and the container counts as an orphan.
 */
export async function endContainer(id: string, host: DockerHost, withinMs = host.stopWithinMs): Promise<void> {
  host.orphans.delete(id)
  try {
    const madeByPython = await containersMadeBy(id, host)
    await host.engine.containers.stop(id, withinMs)
    await host.engine.containers.remove(id)
    await Promise.all(madeByPython.map(name => host.engine.containers.remove(name)))
    const jobContainers = await host.engine.containers.withLabel(`${EXECUTOR_LABEL}=${containerIdentity(id)}`)
    await Promise.all(jobContainers.map(container => host.engine.containers.remove(container.id)))
  } catch (error) {
    host.orphans.add(id)
    throw error
  }
}

/** Returns the names of the containers that a Python executor may have made, by the token in its environment. */
async function containersMadeBy(id: string, { engine, program }: DockerHost): Promise<string[]> {
  if (program !== 'python-2026') return []
  const { EXECUTOR_TOKEN: token } = await engine.containers.environmentOf(id)
  return token === undefined ? [] : containersOf(token)
}

/**
 * Removes a container that could not be created or started, by its name. An engine that is late may still create it:
 * then it is removed in the background once the engine has answered. When the manager is closed first, the container
 * stays, not started, until `takeOver` of the miner's next run: waiting for the engine could delay the miner's stop by
 * minutes.
 */
export async function removeFailed(name: string, error: unknown, host: DockerHost): Promise<void> {
  const lateAnswer = error instanceof EngineError ? error.lateAnswer : undefined
  if (lateAnswer === undefined) return endContainer(name, host)
  host.log.warn({ container: name }, 'the engine is late; a container that it still creates will be removed')
  const answered = lateAnswer.catch(() => {})
  void answered
    .then(() => (host.closed.aborted ? undefined : endContainer(name, host)))
    .catch(err =>
      host.log.warn({ err, container: name }, 'a container that the engine created late could not be removed'),
    )
}

/** Removes all orphans: they may hold the GPUs and memory of the next executor. */
export async function removeOrphans(host: DockerHost): Promise<void> {
  await Promise.all([...host.orphans].map(id => endContainer(id, host)))
}
