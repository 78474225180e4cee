import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Devchain } from '@horde/devchain/devchain'
import { afterEach, describe, expect, it } from 'vitest'
import { connectSubtensor, type Subtensor, type SubtensorOptions } from '../src/subtensor.ts'
import { alice, bob, connectTo, EASY, NETUID, type NetworkOptions, startNetwork } from './network.ts'
import { type Relay, startRelay } from './relay.ts'

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
const weights = { netuid: NETUID, uids: [1, 2], weights: [65_535, 1], versionKey: 0 }

describe('when a node is lost', () => {
  it('calls fail fast until the node is back on the same port', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'horde-chain-'))
    const stateFile = join(folder, 'state')
    open.push({ [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) })
    const first = await startNetwork({ stateFile })
    const chain = await client([first.url], { outageWaitMs: 50 })
    const { block } = await chain.setWeights(weights, alice)
    await first[Symbol.asyncDispose]()

    await expect(chain.metagraph(NETUID)).rejects.toMatchObject({ code: 'Unavailable', retryable: true })
    await expect(chain.setWeights(weights, alice)).rejects.toMatchObject({ code: 'Unavailable', retryable: true })
    expect(chain.state()).toMatchObject({ connected: false, endpoint: null, lastBlock: { number: block } })

    const back = reconnected(chain)
    const second = await network({ stateFile, port: first.port })
    expect(await back).toBe(second.url)
    expect(await chain.blockNumber()).toBe(block)
    expect((await chain.weightsOf(NETUID, 0)).map(({ uid }) => uid)).toEqual([1, 2])
    expect((await chain.setWeights(weights, alice)).block).toBe(block + 1)
  })

  it('the client moves to the next endpoint and signs for its genesis', async () => {
    const [a, b] = [await startNetwork(), await network({ subnets: [{ tempo: 20 }] })]
    const chain = await client([a.url, b.url])
    expect(chain.endpoint).toBe(a.url)
    const next = reconnected(chain)
    await a[Symbol.asyncDispose]()
    expect(await next).toBe(b.url)
    expect(await chain.hyperparameters(NETUID)).toMatchObject({ tempo: 20 })
    expect(await chain.setWeights(weights, alice)).toMatchObject({ block: b.blockNumber() })
  })

  it('connecting throws an error that names the endpoints', async () => {
    const unreachable = 'ws://127.0.0.1:1'
    const connecting = connectSubtensor({ endpoints: [unreachable], firstConnectionMs: 100 })
    await expect(connecting).rejects.toMatchObject({
      code: 'Unavailable',
      message: expect.stringContaining(unreachable),
    })
    const live = await network()
    const chain = await client([unreachable, live.url])
    expect(chain.endpoint).toBe(live.url)
  })

  it('a client with mayBeAway starts without the node and connects later', async () => {
    const gone = await startNetwork()
    await gone[Symbol.asyncDispose]()
    const chain = await client([gone.url], { mayBeAway: true, firstConnectionMs: 50 })
    expect(chain.state()).toMatchObject({ connected: false, endpoint: null })
    const connected = reconnected(chain)
    await network({ port: gone.port })
    expect(await connected).toBe(gone.url)
    expect(await chain.hyperparameters(NETUID)).toMatchObject({ tempo: 10 })
  })

  it('connecting stops at once when its signal aborts', async () => {
    const stop = new AbortController()
    const connecting = connectSubtensor({ endpoints: ['ws://127.0.0.1:1'], signal: stop.signal })
    const why = new Error('stopped')
    stop.abort(why)
    await expect(connecting).rejects.toBe(why)
  })

  it('the client moves to the next endpoint when its node makes no blocks', async () => {
    const [still, running] = [await network(), await network({ blockMs: 50 })]
    const chain = await client([still.url, running.url], { staleMs: 1_500 })
    expect(chain.endpoint).toBe(still.url)
    expect(await reconnected(chain)).toBe(running.url)
    const heads: number[] = []
    await new Promise<void>(resolve => chain.onHead(({ number }) => heads.push(number) === 3 && resolve()))
    expect(heads).toEqual([heads[0], (heads[0] ?? 0) + 1, (heads[0] ?? 0) + 2])
  })

  it('every wait ends when the client is closed or its signal aborts', async () => {
    const node = await network()
    const stop = new AbortController()
    const chain = await client([node.url], { signal: stop.signal, outageWaitMs: 60_000 })
    const lost = new Promise<void>(resolve => chain.onHead(() => resolve()))
    await node.mineBlock()
    await lost
    stop.abort()
    await chain[Symbol.asyncDispose]()
    await expect(chain.metagraph(NETUID)).rejects.toMatchObject({ code: 'Closed', retryable: false })
  })
})

describe('with a bad connection', () => {
  const setUp = async (options?: NetworkOptions, clientOptions?: Partial<SubtensorOptions>) => {
    const node = await network(options)
    const relay: Relay = await opened(startRelay(node.url))
    const chain = await client([relay.url], clientOptions)
    return { node, relay, chain }
  }
  const isSubmission = (method: string | undefined): boolean => method === 'author_submitAndWatchExtrinsic'

  it('finds an extrinsic on the chain after the connection was cut right after sending it', async () => {
    const { node, relay, chain } = await setUp()
    let submissions = 0
    relay.faults = {
      toNode: (frame, connection) => {
        if (!isSubmission(frame.method)) return frame
        submissions += 1
        setImmediate(() => connection.cut())
        return frame
      },
    }
    const included = await chain.setWeights(weights, alice)
    expect(included).toEqual({ block: 1, blockHash: expect.stringMatching(/^0x[0-9a-f]{64}$/) })
    expect(node.blockNumber()).toBe(1)
    expect(submissions).toBe(1)
  })

  /** A deadline far beyond the test, to show that the call does not just wait for its deadline. */
  const PATIENT = { inclusionTimeoutMs: 600_000 }

  it('asks the chain when the node does not report the including block', async () => {
    const { node, relay, chain } = await setUp({}, PATIENT)
    relay.faults = { toClient: frame => (frame.method === 'author_extrinsicUpdate' ? null : frame) }
    expect(await chain.setWeights(weights, alice)).toMatchObject({ block: 1 })
    expect(node.blockNumber()).toBe(1)
  })

  it('sends an extrinsic again unchanged when the connection was cut before it was sent', async () => {
    const { node, relay, chain } = await setUp({}, PATIENT)
    const sent: unknown[] = []
    relay.faults = {
      toNode: (frame, connection) => {
        if (!frame.method?.startsWith('author_submit')) return frame
        sent.push((frame.params as unknown[])[0])
        if (sent.length > 1) return frame
        connection.cut()
        return null
      },
    }
    expect(await chain.setWeights(weights, alice)).toMatchObject({ block: 1 })
    expect(node.blockNumber()).toBe(1)
    expect(sent).toEqual([sent[0], sent[0]])
  })

  it('finds an extrinsic over the next connection when the first one freezes', async () => {
    const { node, relay, chain } = await setUp({}, { ...PATIENT, requestTimeoutMs: 1_000 })
    const frozen = new Set<unknown>()
    relay.faults = {
      toNode: (frame, connection) => {
        if (isSubmission(frame.method)) frozen.add(connection)
        return frame
      },
      toClient: (frame, connection) => (frozen.has(connection) ? null : frame),
    }
    expect(await chain.setWeights(weights, alice)).toMatchObject({ block: 1 })
    expect(node.blockNumber()).toBe(1)
  })

  it('throws the chain’s error when the extrinsic fails in its block during a cut', async () => {
    const { node, relay, chain } = await setUp({}, PATIENT)
    relay.faults = {
      toNode: (frame, connection) => {
        if (isSubmission(frame.method)) setImmediate(() => connection.cut())
        return frame
      },
    }
    const committing = chain.commitWeights(NETUID, `0x${'11'.repeat(32)}`, alice)
    await expect(committing).rejects.toMatchObject({ code: 'CommitRevealDisabled', mayTakeEffect: false })
    expect(node.blockNumber()).toBe(1)
  })

  it('throws an error without mayTakeEffect when the extrinsic is lost until its era is over', async () => {
    const { node, relay, chain } = await setUp({ blockMs: 600_000 }, PATIENT)
    const lost = new Set<number | undefined>()
    relay.faults = {
      toNode: frame => {
        if (!frame.method?.startsWith('author_submit')) return frame
        lost.add(frame.id)
        return { ...frame, method: 'no_such_method' }
      },
      toClient: frame => (lost.has(frame.id) ? { id: frame.id ?? 0, error: { code: 1013, message: 'no' } } : frame),
    }
    const setting = chain.setWeights(weights, alice)
    setting.catch(() => {})
    await expect.poll(() => lost.size).toBe(1)
    for (let made = 0; made < 20; made += 1) await node.mineBlock()
    await expect(setting).rejects.toMatchObject({ code: 'AlreadyImported', mayTakeEffect: false })
  })

  it('throws Unavailable at the deadline when every attempt to send is cut', async () => {
    const { node, relay, chain } = await setUp({}, { inclusionTimeoutMs: 1_500 })
    relay.faults = {
      toNode: (frame, connection) => {
        if (!frame.method?.startsWith('author_submit')) return frame
        connection.cut()
        return null
      },
    }
    await expect(chain.setWeights(weights, alice)).rejects.toMatchObject({ code: 'Unavailable', retryable: true })
    expect(node.blockNumber()).toBe(0)
  })

  it.each([
    [1013, 'AlreadyImported'],
    [1014, 'PriorityTooLow'],
    [1012, 'Banned'],
  ])('after the answer %d it succeeds if the extrinsic was included, and else throws %s', async (code, name) => {
    const { relay, chain } = await setUp()
    const hasty = await client([relay.url], { inclusionTimeoutMs: 1_500 })
    const ids = new Set<number | undefined>()
    let isLost = false
    relay.faults = {
      toNode: frame => {
        if (!isSubmission(frame.method)) return frame
        ids.add(frame.id)
        return isLost ? { ...frame, method: 'no_such_method' } : frame
      },
      toClient: frame => (ids.has(frame.id) ? { id: frame.id ?? 0, error: { code, message: 'no' } } : frame),
    }
    expect(await chain.setWeights(weights, alice)).toMatchObject({ block: 1 })
    expect(await chain.serveAxon(NETUID, { ip: '127.0.0.2', port: 80 }, bob)).toEqual({ announced: true, block: 2 })
    isLost = true
    ids.clear()
    await expect(hasty.setWeights(weights, alice)).rejects.toMatchObject({ code: name, retryable: true })
  })

  it.each(['invalid', 'dropped', { usurped: `0x${'00'.repeat(32)}` }])(
    'throws NotIncluded when the pool reports %j',
    async status => {
      const { node, relay, chain } = await setUp({ blockMs: 600_000 })
      relay.faults = {
        toClient: (frame, connection) => {
          const params = frame.params as { subscription?: string } | undefined
          if (frame.method !== 'author_extrinsicUpdate') return frame
          connection.sendToClient({ method: frame.method, params: { ...params, result: status } })
          return null
        },
      }
      await expect(chain.setWeights(weights, alice)).rejects.toMatchObject({ code: 'NotIncluded', retryable: true })
      expect(node.blockNumber()).toBe(0)
    },
  )

  it('throws InclusionUnknown at the deadline, and a later block still includes the extrinsic', async () => {
    const { node, chain } = await setUp({ blockMs: 600_000 }, { inclusionTimeoutMs: 1_000 })
    await expect(chain.setWeights(weights, alice)).rejects.toMatchObject({ code: 'InclusionUnknown', retryable: true })
    await node.mineBlock()
    expect(await chain.weightsOf(NETUID, 0)).toHaveLength(2)
  })

  it('reconnects with new metadata after a runtime upgrade', async () => {
    const { relay, chain } = await setUp()
    let isUpgraded = false
    relay.faults = {
      toClient: frame => {
        const { result } = (frame.params ?? {}) as { result?: { specVersion?: number } }
        if (frame.method !== 'state_runtimeVersion' || !result?.specVersion || isUpgraded) return frame
        isUpgraded = true
        return { ...frame, params: { ...(frame.params as object), result: { ...result, specVersion: 426 } } }
      },
    }
    const connections: string[] = []
    chain.onReconnect(endpoint => connections.push(endpoint))
    // The relay reports the upgrade only on the next connection.
    const back = reconnected(chain)
    relay.cut()
    await back
    await reconnected(chain)
    expect(isUpgraded).toBe(true)
    expect(connections).toHaveLength(2)
    expect(await chain.setWeights(weights, alice)).toMatchObject({ block: 1 })
  })

  it('accepts a pool that reports only finality', async () => {
    const { relay, chain } = await setUp()
    relay.faults = {
      toClient: frame => {
        const { result } = (frame.params ?? {}) as { result?: { inBlock?: string } }
        return frame.method === 'author_extrinsicUpdate' && result?.inBlock ? null : frame
      },
    }
    expect(await chain.setWeights(weights, alice)).toMatchObject({ block: 1 })
  })

  it('throws Timeout when answers stop, and works over the next connection', async () => {
    const { relay, chain } = await setUp({ subnets: [{ hyperparameters: EASY }] }, { requestTimeoutMs: 500 })
    relay.faults = { toClient: frame => (frame.id === undefined ? frame : null) }
    await expect(chain.metagraph(NETUID)).rejects.toMatchObject({ code: 'Timeout', retryable: true })
    await expect(chain.blockNumber()).rejects.toMatchObject({ code: 'Timeout' })
    const back = reconnected(chain)
    await expect(chain.blockNumber()).rejects.toMatchObject({ code: 'Timeout' })
    relay.faults = {}
    await back
    expect((await chain.metagraph(NETUID)).neurons).toHaveLength(3)
  })
})
