import { xxhashAsHex } from '@polkadot/util-crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { type Devchain, startDevchain } from '../src/devchain.ts'
import { genesis } from './client.ts'

/** Just below the limit of a request. */
const BYTES = 15 * 1024 * 1024 - 200

const request = (method: string, params: string) => `{"jsonrpc":"2.0","id":7,"method":"${method}","params":${params}}`
const listOf = (item: string) => `[[${`${item},`.repeat(BYTES / (item.length + 1) - 10)}${item}]]`
const failed = (code: number, id: unknown = 7) =>
  expect.objectContaining({ id, error: expect.objectContaining({ code }) })

describe('the chain survives a frame of the largest size', () => {
  let chain: Devchain
  beforeAll(async () => {
    chain = await startDevchain({ blockMs: 'per-extrinsic', genesis: genesis() })
    await chain.mineBlock()
  })
  afterAll(() => chain[Symbol.asyncDispose]())

  async function ask(frame: string): Promise<unknown> {
    const socket = new WebSocket(chain.url)
    const { promise, resolve } = Promise.withResolvers<unknown>()
    socket.on('open', () => socket.send(frame))
    socket.on('message', data => resolve(JSON.parse(data.toString())))
    socket.on('close', code => resolve({ closed: code }))
    const answer = await promise
    socket.terminate()
    return answer
  }

  test.each([
    ['chain_getBlockHash', '0'],
    ['chain_getBlockHash', '""'],
    ['state_queryStorageAt', '""'],
    ['state_subscribeStorage', '1'],
  ])('with a list for %s that repeats %s', async (method, item) => {
    expect(await ask(request(method, listOf(item)))).toEqual(failed(-32602))
  })

  test('and refuses an answer, or a batch of answers, that is too big', async () => {
    const metadata = request('state_getMetadata', '[]')
    expect(await ask(`[${Array(1000).fill(metadata).join()}]`)).toEqual(failed(-32008, null))
    const code = `${xxhashAsHex('System', 128)}${xxhashAsHex('Events', 128).slice(2)}`
    const keys = JSON.stringify([Array(16_000).fill(code)])
    const queries = request('state_queryStorageAt', keys)
    expect(await ask(`[${Array(12).fill(queries).join()}]`)).toEqual(failed(-32008, null))
    expect(await ask(request('system_chain', '[]'))).toMatchObject({ result: 'Development' })
  })
})
