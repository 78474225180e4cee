/** What an earlier run of this miner left on an engine: executors to go on with, and all others. */
import type { FoundContainer } from '@horde/engine/containers'
import { withDeadline } from '@horde/kit/time'
import type { StartedExecutor } from '../manager.ts'
import { type DockerHost, endContainer } from './docker-host.ts'
import { OWNER_LABEL, RUN_LABEL, THIS_RUN, TOKEN_LABEL, tokenHash } from './executor-container.ts'
import { runningContainer } from './running-container.ts'

/** How long the engine may take to tell what there is, in milliseconds: executors of other pools wait for this miner. */
const ASK_MS = 15_000
const RUNS = ['running', 'paused']

/**
 * The running executors of this miner that have one of the tokens, by token. All other containers of this miner are ended
 * and removed, those without a wanted token and those that do not run any more or never did.
 *
 * Rejects when the engine can't be asked: those that still run come back by themselves, and the others are ended before the
 * next start there.
 */
export async function takeOver(tokens: ReadonlySet<string>, host: DockerHost): Promise<Map<string, StartedExecutor>> {
  try {
    const { wanted, others } = await find(tokens, host)
    await Promise.all(others.map(container => end(container, host)))
    return new Map(wanted.map(({ token, id }) => [token, runningContainer(id, host)]))
  } catch (error) {
    host.overdue = tokens
    throw error
  }
}

/** Does what takeOver could not do: ends what an earlier run left, and what no job of it waits for. */
export async function endOverdue(host: DockerHost): Promise<void> {
  if (host.overdue === undefined) return
  const { others } = await find(host.overdue, host)
  const ofEarlierRuns = others.filter(({ labels }) => labels[RUN_LABEL] !== THIS_RUN)
  await Promise.all(ofEarlierRuns.map(container => end(container, host)))
  host.overdue = undefined
}

/** Removes containers of this owner that have ended: those of a command that was killed, which nobody takes over. */
export async function removeEnded(host: DockerHost): Promise<void> {
  const { others } = await find(new Set(), host)
  await Promise.all(others.filter(({ state }) => state === 'exited').map(container => end(container, host)))
}

type Found = { wanted: { token: string; id: string }[]; others: FoundContainer[] }

async function find(tokens: ReadonlySet<string>, { engine, owner, clock }: DockerHost): Promise<Found> {
  const byHash = new Map([...tokens].map(token => [tokenHash(token), token]))
  const found: Found = { wanted: [], others: [] }
  const asked = engine.containers.withLabel(`${OWNER_LABEL}=${owner}`)
  for (const container of await withDeadline(asked, ASK_MS, 'listing containers', clock)) {
    const token = byHash.get(container.labels[TOKEN_LABEL] ?? '')
    if (token !== undefined && RUNS.includes(container.state)) found.wanted.push({ token, id: container.id })
    else found.others.push(container)
  }
  return found
}

async function end({ id, state }: FoundContainer, host: DockerHost): Promise<void> {
  try {
    await endContainer(id, host)
    host.log.info({ container: id.slice(0, 12), state }, 'removed an executor container of an earlier run')
  } catch (err) {
    host.log.warn({ err, container: id.slice(0, 12) }, 'an executor container of an earlier run could not be removed')
  }
}
