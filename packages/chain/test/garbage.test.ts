import type { Devchain } from '@horde/devchain/devchain'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Subtensor } from '../src/subtensor.ts'
import { alice, bob, connectTo, NETUID, startNetwork } from './network.ts'
import { type Relay, startRelay } from './relay.ts'

const weights = { netuid: NETUID, uids: [1, 2], weights: [65_535, 1], versionKey: 0 }

/** Invalid answers that a broken or malicious node may send to any request. */
const INVALID_ANSWERS: [string, unknown][] = [
  ['null', null],
  ['a text', 'nonsense'],
  ['hex', '0x00'],
  ['a number', -1],
  ['a list', []],
  ['a list of nothing', [null]],
  ['an object', {}],
  ['changes of nothing', [{ changes: null }]],
  ['changes that are no bytes', [{ changes: [['0x00', 'zz'], 7] }]],
  ['a header of nothing', { number: {}, block: null }],
]

describe('a node that sends invalid answers', () => {
  let node: Devchain
  let relay: Relay
  let chain: Subtensor
  beforeAll(async () => {
    node = await startNetwork()
    relay = await startRelay(node.url)
    chain = await connectTo([relay.url], { inclusionTimeoutMs: 500 })
  })
  afterAll(async () => {
    for (const it of [chain, relay, node]) await it?.[Symbol.asyncDispose]()
  })

  it.each(INVALID_ANSWERS)('makes every call throw a ChainError: %s', async (_name, result) => {
    relay.faults = { toClient: frame => (frame.id === undefined ? frame : { id: frame.id, result }) }
    const calls = [
      chain.blockNumber(),
      chain.metagraph(NETUID),
      chain.hyperparameters(NETUID),
      chain.weightsOf(NETUID, 0),
      chain.serveAxon(NETUID, { ip: '127.0.0.2', port: 80 }, bob),
      chain.setWeights(weights, alice),
    ]
    for (const outcome of await Promise.allSettled(calls)) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ name: 'ChainError', retryable: true })
      else expect(outcome.value).toSatisfy(isSound)
    }
    relay.faults = {}
    expect((await chain.metagraph(NETUID)).neurons).toHaveLength(3)
  })

  it.each(['chain_getBlock', 'state_queryStorageAt'])(
    'is asked again when it answers %s about the including block with null',
    async method => {
      const ids = new Set<number | undefined>()
      let isSent = false
      relay.faults = {
        toNode: frame => {
          if (frame.method === 'author_submitAndWatchExtrinsic') isSent = true
          else if (isSent && frame.method === method && ids.size === 0) ids.add(frame.id)
          return frame
        },
        toClient: frame => (ids.has(frame.id) ? { id: frame.id ?? 0, result: null } : frame),
      }
      expect(await chain.setWeights(weights, alice)).toMatchObject({ block: node.blockNumber() })
      expect(ids.size).toBe(1)
      relay.faults = {}
    },
  )

  it('a row with a number that is not a u16 is refused before anything is sent', async () => {
    const before = node.blockNumber()
    for (const bad of [70_000, -1, 1.5, Number.NaN]) {
      for (const row of [{ weights: [bad, 1] }, { uids: [bad, 1] }, { versionKey: bad === 70_000 ? -1 : bad }]) {
        const refused = chain.setWeights({ ...weights, ...row }, alice)
        await expect(refused, JSON.stringify(row)).rejects.toMatchObject({ name: 'ChainError', retryable: false })
      }
    }
    expect(node.blockNumber()).toBe(before)
  })
})

/** Whether an invalid answer was decoded to a value that is at least well-formed. */
function isSound(value: unknown): boolean {
  return typeof value === 'number' ? Number.isSafeInteger(value) && value >= 0 : typeof value === 'object'
}
