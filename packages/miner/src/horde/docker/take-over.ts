/** Takes over the executors that an earlier run of this miner left on an engine, and removes its other containers. */
import type { FoundContainer } from '@horde/engine/containers'
import { withDeadline } from '@horde/kit/time'
import type { StartedExecutor } from '../manager.ts'
import { type DockerHost, endContainer } from './docker-host.ts'
import { OWNER_LABEL, RUN_LABEL, THIS_RUN, TOKEN_LABEL, tokenHash } from './executor-container.ts'
import { runningContainer } from './running-container.ts'

/** How long the engine may take to list the containers, in ms: executors of other pools wait for this miner. */
const ASK_MS = 15_000
const RUNNING = ['running', 'paused']

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
    host.log.info({ container: id.slice(0, 12), state }, 'removed an executor container of an earlier run')
  } catch (err) {
    host.log.warn({ err, container: id.slice(0, 12) }, 'an executor container of an earlier run could not be removed')
  }
}
