import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Devchain } from '@horde/devchain/devchain'
import { afterEach, expect, it } from 'vitest'
import type { Subtensor, SubtensorOptions } from '../src/subtensor.ts'
import { connectTo, type NetworkOptions, startNetwork } from './network.ts'
import { startRelay } from './relay.ts'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it[Symbol.asyncDispose]()
})
const opened = async <T extends AsyncDisposable>(opening: Promise<T>): Promise<T> => {
  const it = await opening
  open.push(it)
  return it
}
const network = (options?: NetworkOptions): Promise<Devchain> => opened(startNetwork(options))
const client = (endpoints: string[], options?: Partial<SubtensorOptions>): Promise<Subtensor> =>
  opened(connectTo(endpoints, options))
const reconnected = (chain: Subtensor): Promise<string> => new Promise(resolve => chain.onReconnect(resolve))

/** Starts a TCP server that is not a chain node. Calls `visit` with each connection. */
async function startDead(visit: (socket: Socket) => void, port = 0) {
  const sockets = new Set<Socket>()
  let visits = 0
  const server = createServer(socket => {
    visits += 1
    sockets.add(socket)
    socket.on('error', () => {})
    visit(socket)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const dead = {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    visits: () => visits,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
  open.push(dead)
  return dead
}

/** The second delay is longer than the outage in the test, and the third longer than a test may take. */
const STEEP = { stableMs: 1, backoff: { minMs: 50, maxMs: 3_600_000, factor: 60 } }

it('retries a node that just worked at its shortest delay, however long the delays of the others', async () => {
  const dead = await startDead(socket => socket.destroy())
  const first = await startNetwork()
  const chain = await client([dead.url, first.url], STEEP)
  expect(chain.endpoint).toBe(first.url)
  await first[Symbol.asyncDispose]()
  // The outage lasts until every growing delay is longer than the test.
  const away = await startDead(socket => socket.destroy(), first.port)
  await expect.poll(() => away.visits()).toBeGreaterThan(5)
  await away[Symbol.asyncDispose]()
  const back = reconnected(chain)
  const second = await network({ port: first.port })
  expect(await back).toBe(second.url)
})

it('does not wait for an endpoint that accepts connections and never answers', async () => {
  const silent = await startDead(() => {})
  const node = await network()
  const chain = await client([silent.url, node.url], { firstConnectionMs: 8_000, dialTimeoutMs: 600_000 })
  expect(chain.endpoint).toBe(node.url)
  expect(silent.visits()).toBe(1)
})

it('moves to another node when its own falls behind', async () => {
  const [behind, ahead] = [await network(), await network()]
  const chain = await client([behind.url, ahead.url], { compareMs: 50 })
  expect(chain.endpoint).toBe(behind.url)
  const next = reconnected(chain)
  for (let made = 0; made < 20; made += 1) await ahead.mineBlock()
  expect(await next).toBe(ahead.url)
  expect(await chain.blockNumber()).toBe(20)
})

it('stays on its node when others belong to another chain or are only a few blocks ahead', async () => {
  const node = await network()
  const foreign = await network({ subnets: [{ tempo: 77 }] })
  const near = await network()
  const relays = [await opened(startRelay(foreign.url)), await opened(startRelay(near.url))]
  const asked = [0, 0]
  for (const [i, relay] of relays.entries()) {
    relay.faults = {
      toNode: frame => {
        if (frame.method === 'chain_getHeader' || (i === 0 && frame.method === 'chain_getBlockHash'))
          asked[i] = (asked[i] ?? 0) + 1
        return frame
      },
    }
  }
  for (let made = 0; made < 20; made += 1) await foreign.mineBlock()
  for (let made = 0; made < 2; made += 1) await near.mineBlock()
  const chain = await client([node.url, ...relays.map(({ url }) => url)], { compareMs: 20 })
  await expect.poll(() => Math.min(...asked)).toBeGreaterThan(3)
  expect(chain.endpoint).toBe(node.url)
})
