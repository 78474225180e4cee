/** Loses the connection of a lock on a real Postgres in a way that the server does not notice. */
import { systemClock } from '@horde/kit/time'
import { Relay } from '@horde/testing/peers/relay'
import { expect, it } from 'vitest'
import { keepLock, oneAtATime } from '../../src/db/lock.ts'
import { listeningLog } from '../jobs/drive.ts'
import { withPostgres } from './databases.ts'

const postgres = withPostgres()

/** Starts a relay whose two sides can be cut separately, as a network that drops a client's reset. */
async function openRelay(to: string): Promise<{ relay: Relay; url: string }> {
  const url = new URL(to)
  const relay = await Relay.start(Number(url.port), { host: url.hostname, passesEndsOn: false })
  url.host = relay.address
  return { relay, url: url.href }
}

it('takes the lock again once the server has noticed the lost connection', async () => {
  const { relay, url } = await openRelay(await postgres().newDatabase())
  await using _relay = relay
  const { log, lines } = listeningLog()
  const kept = await keepLock(oneAtATime('postgres', url, 'batch', log), { clock: systemClock, log })
  await using _ = kept
  relay.cutClients()
  const messages = () => lines.map(({ msg }) => msg)
  await expect.poll(() => messages().includes('lock could not be taken again yet') || kept?.lost.aborted).toBe(true)
  expect(kept?.lost.aborted).toBe(false)
  relay.cutServers()
  await expect.poll(messages).toContain('lock taken again after its connection was lost')
  await kept?.held()
})

it('loses the lock at once when another process has taken it meanwhile', async () => {
  const url = await postgres().newDatabase()
  const { relay, url: relayed } = await openRelay(url)
  await using _relay = relay
  const { log } = listeningLog()
  const kept = await keepLock(oneAtATime('postgres', relayed, 'batch', log), { clock: systemClock, log })
  await using _ = kept
  // The server notices the loss first, and the other process takes the lock before this process notices.
  relay.cutServers()
  const others = oneAtATime('postgres', url, 'batch', log)
  let other = await others()
  const takeOther = async () => {
    other ??= await others()
    return other
  }
  await expect.poll(takeOther).toBeDefined()
  await using _other = other
  relay.cutClients()
  await expect.poll(() => kept?.lost.aborted).toBe(true)
  await expect(kept?.held()).rejects.toThrow('another process of this validator has taken the lock')
})
