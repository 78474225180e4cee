import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { silentLog } from '@horde/kit/log'
import { afterEach, describe, expect, it } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { dialRpc, type Rpc } from '../src/subtensor/rpc.ts'

type Request = { id: number; method: string; params: unknown[] }
type Answer = (request: Request, ws: WebSocket) => void

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it[Symbol.asyncDispose]()
})

/** Starts a node that answers as a test wants, and returns an Rpc that is connected to it. */
async function connected(answer: Answer, requestTimeoutMs = 5_000): Promise<Rpc> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  server.on('connection', ws => ws.on('message', data => answer(JSON.parse(String(data)) as Request, ws)))
  const { port } = server.address() as AddressInfo
  open.push({ [Symbol.asyncDispose]: () => new Promise<void>(resolve => server.close(() => resolve())) })
  const { signal } = new AbortController()
  const rpc = await dialRpc(`ws://127.0.0.1:${port}`, { requestTimeoutMs, log: silentLog, signal })
  open.push(rpc)
  return rpc
}

const sendFrame = (ws: WebSocket, frame: object): void => ws.send(JSON.stringify({ jsonrpc: '2.0', ...frame }))

describe('Rpc', () => {
  it('matches answers to requests in any order, and ignores invalid frames', async () => {
    const held: Request[] = []
    const rpc = await connected((request, ws) => {
      held.push(request)
      if (held.length < 2) return
      for (const noise of ['', 'null', '[]', '7', '{', '{"id":99,"result":1}', '{"method":"x","params":{}}'])
        ws.send(noise)
      for (const { id, method } of held.toReversed()) sendFrame(ws, { id, result: `${method}!` })
    })
    expect(await Promise.all([rpc.send('a', []), rpc.send('b', [])])).toEqual(['a!', 'b!'])
    expect(rpc.requests).toBe(2)
  })

  it('throws an error with the code and data of the answer', async () => {
    const error = { code: 1010, message: 'Invalid Transaction', data: 'Custom error: 6' }
    const rpc = await connected(({ id }, ws) => sendFrame(ws, { id, error }))
    await expect(rpc.send('author_submitExtrinsic', [])).rejects.toMatchObject({
      name: 'RpcError',
      code: 1010,
      data: error.data,
    })
  })

  it('delivers notifications that arrive before the subscription’s id', async () => {
    const rpc = await connected(({ id }, ws) => {
      const notify = (result: number) => sendFrame(ws, { method: 'update', params: { subscription: 'abc', result } })
      notify(1)
      sendFrame(ws, { id, result: 'abc' })
      notify(2)
    })
    const received: unknown[] = []
    const { promise, resolve } = Promise.withResolvers<void>()
    await rpc.follow('subscribe', 'unsubscribe', [], result => {
      received.push(result)
      if (received.length === 2) resolve()
    })
    await promise
    expect(received).toEqual([1, 2])
  })

  it('delivers a notification after many of ended subscriptions', async () => {
    const rpc = await connected(({ id }, ws) => {
      const notify = (subscription: string) => sendFrame(ws, { method: 'update', params: { subscription, result: 1 } })
      for (let i = 0; i < 500; i++) notify(`old ${i}`)
      notify('abc')
      sendFrame(ws, { id, result: 'abc' })
    })
    await new Promise(resolve => rpc.follow('subscribe', 'unsubscribe', [], resolve))
  })

  it('times out each request, and closes the connection after three in a row', async () => {
    const rpc = await connected(() => {}, 20)
    const first = rpc.send('a', [])
    await expect(first).rejects.toMatchObject({ code: 'Timeout', retryable: true })
    await expect(rpc.send('b', [])).rejects.toMatchObject({ code: 'Timeout' })
    await expect(rpc.send('c', [])).rejects.toMatchObject({ code: 'Timeout' })
    await rpc.closed
    await expect(rpc.send('d', [])).rejects.toMatchObject({ code: 'Unavailable', retryable: true })
  })

  it('reports to @polkadot/api a lost connection before it rejects open requests', async () => {
    const rpc = await connected((_request, ws) => ws.terminate())
    const order: string[] = []
    rpc.on('disconnected', () => order.push('disconnected'))
    const error = await rpc.send('a', []).catch((failure: unknown) => {
      order.push('rejected')
      return failure
    })
    expect(error).toMatchObject({ code: 'Unavailable', retryable: true })
    expect(order).toEqual(['disconnected', 'rejected'])
  })
})
