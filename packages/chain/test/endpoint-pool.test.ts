import { silentLog } from '@horde/kit/log'
import { systemClock as clock } from '@horde/kit/time'
import { expect, it } from 'vitest'
import { EndpointPool } from '../src/subtensor/endpoint-pool.ts'
import { dialRpc, type Rpc } from '../src/subtensor/rpc.ts'
import { startNetwork } from './network.ts'

it('closes a connection that opens just before the client is closed', async () => {
  await using node = await startNetwork()
  const closing = new AbortController()
  const made: Rpc[] = []
  const pool = new EndpointPool({
    ...{ endpoints: [node.url], backoff: { minMs: 1, maxMs: 1 }, stableMs: 1, log: silentLog, clock },
    dial: async (url, signal) => {
      const rpc = await dialRpc(url, { requestTimeoutMs: 10_000, log: silentLog, signal: closing.signal })
      made.push(rpc)
      // Aborted by the pool once it has taken the connection.
      signal.addEventListener('abort', () => closing.abort(new Error('closed')))
      return rpc
    },
  })
  await expect(pool.connect(closing.signal)).rejects.toThrow('closed')
  expect(made.map(({ isConnected }) => isConnected)).toEqual([false])
})
