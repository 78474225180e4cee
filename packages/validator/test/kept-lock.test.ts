/** Loses the connection of a lock on a real Postgres in a way that the server does not notice. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { systemClock } from '@horde/kit/time'
import { expect, it } from 'vitest'
import { keepLock, oneAtATime } from '../src/db/lock.ts'
import { withPostgres } from './databases.ts'
import { listeningLog } from './drive.ts'

const postgres = withPostgres()

/** A relay whose two sides can be cut separately: a network may swallow a client's reset. */
async function openRelay(to: URL) {
  const [clients, servers] = [new Set<Socket>(), new Set<Socket>()]
  const relay = createServer(client => {
    const server = connect({ host: to.hostname, port: Number(to.port) })
    clients.add(client)
    servers.add(server)
    for (const socket of [client, server]) socket.on('error', () => {})
    client.on('data', data => server.write(data))
    server.on('data', data => client.write(data))
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  const url = new URL(to)
  url.hostname = '127.0.0.1'
  url.port = String((relay.address() as AddressInfo).port)
  const cut = (sockets: Set<Socket>) => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: url.href,
    cutClients: () => cut(clients),
    cutServers: () => cut(servers),
    async [Symbol.asyncDispose]() {
      cut(clients)
      cut(servers)
      relay.close()
      await once(relay, 'close')
    },
  }
}

it('takes the lock again once the server has noticed the lost connection', async () => {
  await using relay = await openRelay(new URL(await postgres().newDatabase()))
  const { log, lines } = listeningLog()
  const kept = await keepLock(oneAtATime('postgres', relay.url, 'batch', log), { clock: systemClock, log })
  await using _ = kept
  relay.cutClients()
  const said = () => lines.map(({ msg }) => msg)
  await expect.poll(() => said().includes('lock could not be taken again yet') || kept?.lost.aborted).toBe(true)
  expect(kept?.lost.aborted).toBe(false)
  relay.cutServers()
  await expect.poll(said).toContain('lock taken again after its connection was lost')
  await kept?.held()
})

it('loses the lock at once when another process has taken it meanwhile', async () => {
  const url = await postgres().newDatabase()
  await using relay = await openRelay(new URL(url))
  const { log } = listeningLog()
  const kept = await keepLock(oneAtATime('postgres', relay.url, 'batch', log), { clock: systemClock, log })
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
