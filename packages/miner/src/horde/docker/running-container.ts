/**
 * Watches an executor's container from its start to its removal, and takes over the executors that an earlier run of
 * this miner left on an engine.
 */
import type { Readable } from 'node:stream'
import { forwardOutput } from '@horde/engine/container-output'
import type { FoundContainer } from '@horde/engine/containers'
import { hasCode } from '@horde/engine/engine-error'
import { withDeadline } from '@horde/kit/time'
import type { StartedCommand, StartedExecutor } from '../manager.ts'
import { type DockerHost, endContainer } from './docker-host.ts'
import { OWNER_LABEL, RUN_LABEL, THIS_RUN, TOKEN_LABEL, tokenHash } from './executor-container.ts'

/** The pause before an engine whose answer broke off is asked again, in ms. */
const ASK_AGAIN_MS = 1_000
/** How long the last lines of a log may take once its container has ended, in ms. */
const LAST_LINES_MS = 1_000
/** How long the engine may take to list the containers, in ms: executors of other pools wait for this miner. */
const ASK_MS = 15_000
const RUNNING = ['running', 'paused']
const SHORT_ID = 12

/**
 * Returns the executor in a container that was started. It is watched, and its log copied, from the first read of
 * `exited` or `exitCode`: when several pools find a container, only its own pool watches it.
 *
 * @param output the container's output, where it is attached already
 */
export function runningContainer(id: string, host: DockerHost, output?: Readable): StartedCommand {
  let watching: Promise<Exit> | undefined
  const exit = () => {
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
      return exit().then(({ how }) => how)
    },
    get exitCode() {
      return exit().then(({ code }) => code)
    },
    stop,
  }
}

/** How a container ended, in words for the log. `code` is missing when nothing could tell. */
type Exit = { how: string; code?: number }

/** Resolves when the container has ended. When the engine restarts, or the connection breaks, it asks again. */
async function watch(id: string, host: DockerHost, output: Readable | undefined): Promise<Exit> {
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
      return { how: `exit code ${code}`, code }
    } catch (err) {
      if (closed.aborted) return { how: 'its miner has stopped' }
      if (hasCode(err, 'not-found')) return { how: 'its container is gone' }
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

/**
 * Returns the running executors of this miner that have one of the tokens, by token. Removes all other containers of
 * this miner: those without a wanted token, and those that do not run.
 *
 * Rejects when the engine cannot be reached. Executors that still run then connect by themselves, and the others are
 * removed before the next start.
 */
export async function takeOver(tokens: ReadonlySet<string>, host: DockerHost): Promise<Map<string, StartedExecutor>> {
  try {
    const { wanted, others } = await find(tokens, host)
    await Promise.all(others.map(container => remove(container, host)))
    return new Map(wanted.map(({ token, id }) => [token, runningContainer(id, host)]))
  } catch (error) {
    host.unfinishedTakeOver = tokens
    throw error
  }
}

/** Removes what `takeOver` could not: the containers of an earlier run that no job waits for. */
export async function finishTakeOver(host: DockerHost): Promise<void> {
  if (host.unfinishedTakeOver === undefined) return
  const { others } = await find(host.unfinishedTakeOver, host)
  const ofEarlierRuns = others.filter(({ labels }) => labels[RUN_LABEL] !== THIS_RUN)
  await Promise.all(ofEarlierRuns.map(container => remove(container, host)))
  host.unfinishedTakeOver = undefined
}

/** Removes this miner's containers that have ended, such as those of a command that was killed. */
export async function removeEnded(host: DockerHost): Promise<void> {
  const { others } = await find(new Set(), host)
  await Promise.all(others.filter(({ state }) => state === 'exited').map(container => remove(container, host)))
}

type Found = { wanted: { token: string; id: string }[]; others: FoundContainer[] }

async function find(tokens: ReadonlySet<string>, { engine, owner, clock }: DockerHost): Promise<Found> {
  const byHash = new Map([...tokens].map(token => [tokenHash(token), token]))
  const found: Found = { wanted: [], others: [] }
  const listing = engine.containers.withLabel(`${OWNER_LABEL}=${owner}`)
  for (const container of await withDeadline(listing, ASK_MS, 'listing containers', clock)) {
    const token = byHash.get(container.labels[TOKEN_LABEL] ?? '')
    if (token !== undefined && RUNNING.includes(container.state)) found.wanted.push({ token, id: container.id })
    else found.others.push(container)
  }
  return found
}

async function remove({ id, state }: FoundContainer, host: DockerHost): Promise<void> {
  try {
    await endContainer(id, host)
    host.log.info({ container: id.slice(0, SHORT_ID), state }, 'removed an executor container of an earlier run')
  } catch (err) {
    host.log.warn(
      { err, container: id.slice(0, SHORT_ID) },
      'an executor container of an earlier run could not be removed',
    )
  }
}
