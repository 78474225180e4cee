/** An executor's container from its start to its removal. */
import type { Readable } from 'node:stream'
import { forwardOutput } from '@horde/engine/container-output'
import { hasCode } from '@horde/engine/engine-error'
import { withDeadline } from '@horde/kit/time'
import type { StartedExecutor } from '../manager.ts'
import { type DockerHost, endContainer } from './docker-host.ts'

/** How long an engine whose answer broke off is left alone before it is asked again, in milliseconds. */
const ASK_AGAIN_MS = 1_000
/** How long the last lines of a log may take, in milliseconds, once its container has ended. */
const LAST_LINES_MS = 1_000
const SHORT_ID = 12

/**
 * A container that was started. It is watched, and its log followed, from the first time that somebody asks for its exit:
 * one that several pools have found is watched by its own alone.
 *
 * @param output what it says, where that is being read already
 */
export function runningContainer(id: string, host: DockerHost, output?: Readable): StartedExecutor {
  let watching: Promise<string> | undefined
  const exited = () => {
    watching ??= watch(id, host, output)
    return watching
  }
  // Whoever stops it a second time waits for the first: an engine refuses to remove what is being removed.
  let ending: Promise<void> | undefined
  const stop = (withinMs = host.stopWithinMs) => {
    // The engine waits no longer than the shortest time that it was told.
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

/** An engine that restarts, or a way to it that breaks, ends the wait and not the container: it is asked again. */
async function watch(id: string, host: DockerHost, output: Readable | undefined): Promise<string> {
  const { engine, clock, log, closed } = host
  const container = id.slice(0, SHORT_ID)
  let following = output && follow(forwardOutput(output, process.stdout))
  for (let isFirst = true; ; isFirst = false) {
    following ??= follow(engine.containers.attach(id, closed).then(again => forwardOutput(again, process.stdout)))
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
      if (isFirst) log.warn({ err, container }, 'waiting for an executor container broke off; asking again')
    }
    await clock.sleep(ASK_AGAIN_MS, closed).catch(() => {})
  }
}

/** The log of an executor is not worth its job: its end is told by the container's exit. */
function follow(log: Promise<void>): Promise<void> {
  return log.catch(() => {})
}
