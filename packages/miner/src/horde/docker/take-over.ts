/** What an earlier run of this miner left on an engine: executors to go on with, and all others. */
import type { StartedExecutor } from '../manager.ts'
import { type DockerHost, endContainer } from './docker-host.ts'
import type { FoundContainer } from './engine-client.ts'
import { OWNER_LABEL, TOKEN_LABEL, tokenHash } from './executor-container.ts'
import { runningContainer } from './running-container.ts'

const RUNS = ['running', 'paused']

/**
 * The running executors of this miner that have one of the tokens, by token. All other containers of this miner are ended
 * and removed, those without a wanted token and those that do not run any more or never did.
 */
export async function takeOver(tokens: ReadonlySet<string>, host: DockerHost): Promise<Map<string, StartedExecutor>> {
  const wanted = new Map([...tokens].map(token => [tokenHash(token), token]))
  const found = new Map<string, StartedExecutor>()
  const others: FoundContainer[] = []
  for (const container of await host.engine.containersWith(`${OWNER_LABEL}=${host.owner}`)) {
    const token = wanted.get(container.labels[TOKEN_LABEL] ?? '')
    if (token !== undefined && RUNS.includes(container.state)) found.set(token, runningContainer(container.id, host))
    else others.push(container)
  }
  await Promise.all(others.map(container => end(container, host)))
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
