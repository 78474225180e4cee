/** Watches an executor's container from its start to its removal. */
import type { Readable } from 'node:stream'
import { forwardOutput } from '@horde/engine/container-output'
import { hasCode } from '@horde/engine/engine-error'
import { withDeadline } from '@horde/kit/time'
import type { StartedExecutor } from '../manager.ts'
import { type DockerHost, endContainer } from './docker-host.ts'

/** The pause before an engine whose answer broke off is asked again, in ms. */
const ASK_AGAIN_MS = 1_000
/** How long the last lines of a log may take once its container has ended, in ms. */
const LAST_LINES_MS = 1_000
const SHORT_ID = 12

/**
 * Returns the executor in a container that was started. It is watched, and its log copied, from the first read of
 * `exited`: when several pools find a container, only its own pool watches it.
 *
 * @param output the container's output, where it is attached already
 */
export function runningContainer(id: string, host: DockerHost, output?: Readable): StartedExecutor {
  let watching: Promise<string> | undefined
  const exited = () => {
    watching ??= watch(id, host, output)
    return watching
  }
  // A second call waits for the first: an engine refuses to remove a container that is being removed.
  let ending: Promise<void> | undefined
  const stop = (withinMs = host.stopWithinMs) => {
    // The engine waits for the shortest of several times.
    if (ending && withinMs < host.stopWithinMs) host.engine.containers.stop(id, withinMs).catch(() => {})
    ending ??= endContainer(id, host, withinMs).finally(() => {
      ending = undefined
    })
    return ending
  }
  return {
    id: `container ${id.slice(0, SHORT_ID)}`,
    get exited() {
      return exited()
    },
    stop,
  }
}

/** Resolves when the container has ended. When the engine restarts, or the connection breaks, it asks again. */
async function watch(id: string, host: DockerHost, output: Readable | undefined): Promise<string> {
  const { engine, clock, log, closed } = host
  const container = id.slice(0, SHORT_ID)
  let following = output && follow(forwardOutput(output, process.stdout))
  for (let isFirst = true; ; isFirst = false) {
    following ??= follow(engine.containers.attach(id, closed).then(attached => forwardOutput(attached, process.stdout)))
    void following.then(() => {
      following = undefined
    })
    try {
      const code = await engine.containers.waitForEnd(id, closed)
      await withDeadline(following, LAST_LINES_MS, 'the last lines of a log', clock).catch(() => {})
      return `exit code ${code}`
    } catch (err) {
      if (closed.aborted) return 'its miner has stopped'
      if (hasCode(err, 'not-found')) return 'its container is gone'
      if (isFirst)
        log.warn({ err, container }, 'the connection broke while waiting for an executor container; asking again')
    }
    await clock.sleep(ASK_AGAIN_MS, closed).catch(() => {})
  }
}

/** Ignores failures of the log: the end of the executor is the container's exit. */
function follow(log: Promise<void>): Promise<void> {
  return log.catch(() => {})
}
