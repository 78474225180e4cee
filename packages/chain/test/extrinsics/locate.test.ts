import type { Devchain } from '@horde/devchain/devchain'
import { afterEach, describe, expect, it } from 'vitest'
import type { Subtensor, SubtensorOptions } from '../../src/subtensor.ts'
import { alice, connectTo, NETUID, type NetworkOptions, startNetwork } from '../network.ts'
import { type Relay, startRelay } from '../relay.ts'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it[Symbol.asyncDispose]()
})
const opened = async <T extends AsyncDisposable>(opening: Promise<T>): Promise<T> => {
  const it = await opening
  open.push(it)
  return it
}

/** Far longer than a test may take: what ends earlier did not wait for it. */
const PATIENT = { inclusionTimeoutMs: 600_000 }
const JSON_BODY = { 'content-type': 'application/json' }
const weights = { netuid: NETUID, uids: [1, 2], weights: [65_535, 1], versionKey: 0 }

async function setUp(options?: NetworkOptions, clientOptions?: Partial<SubtensorOptions>) {
  const node: Devchain = await opened(startNetwork(options))
  const relay: Relay = await opened(startRelay(node.url))
  const chain: Subtensor = await opened(connectTo([relay.url], { ...PATIENT, ...clientOptions }))
  return { node, relay, chain }
}

describe('an extrinsic that was signed for one runtime, and a node that has another', () => {
  const SPEC_VERSION = 425

  /** Has the first line of a client say one runtime, and cuts it when an extrinsic comes; later lines say the other. */
  async function setOverLines(first: number, later: number): Promise<unknown> {
    const { relay, chain } = await setUp()
    const lines: unknown[] = []
    const versionOn = (line: unknown) => (lines.indexOf(line) === 0 ? first : later)
    const isVersion = (value: unknown): value is { specVersion: number } =>
      typeof value === 'object' && value !== null && 'specVersion' in value
    relay.faults = {
      toNode: (frame, line) => {
        if (!lines.includes(line)) lines.push(line)
        if (lines.indexOf(line) > 0 || !frame.method?.startsWith('author_submit')) return frame
        line.cut()
        return null
      },
      toClient: (frame, line) => {
        const specVersion = versionOn(line)
        const params = frame.params as { result?: unknown } | undefined
        if (isVersion(frame.result)) return { ...frame, result: { ...frame.result, specVersion } }
        if (!isVersion(params?.result)) return frame
        return { ...frame, params: { ...params, result: { ...params.result, specVersion } } }
      },
    }
    const back = new Promise(resolve => chain.onReconnect(resolve))
    relay.cut()
    await back
    return chain.setWeights(weights, alice)
  }

  it('may yet take effect when the node is behind: others have the newer runtime', async () => {
    const setting = setOverLines(SPEC_VERSION + 1, SPEC_VERSION)
    await expect(setting).rejects.toMatchObject({ code: 'BadSignature', mayTakeEffect: true })
  })

  it('is void when the node has a newer one', async () => {
    const setting = setOverLines(SPEC_VERSION, SPEC_VERSION + 1)
    await expect(setting).rejects.toMatchObject({ code: 'Unavailable', mayTakeEffect: false })
  })
})

describe('a fork that wins while the chain is asked for an extrinsic', () => {
  const FORKING = { finalityLag: 8 }
  /** What the keys of accounts begin with. */
  const ACCOUNTS = '0x26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9'
  type Frame = Parameters<NonNullable<Relay['faults']['toNode']>>[0]

  /**
   * Cuts the line with the first submission, once `onFirst` is done; `isLost`: the node never gets it. Gives what was
   * submitted then and later.
   */
  function cutAtFirst(relay: Relay, isLost: boolean, onFirst: () => Promise<unknown>): string[] {
    const sent: string[] = []
    relay.faults.toNode = (frame, line) => {
      if (!frame.method?.startsWith('author_submit')) return frame
      sent.push(String((frame.params as unknown[])[0]))
      if (sent.length > 1) return frame
      void onFirst().then(() => line.cut())
      return isLost ? null : frame
    }
    return sent
  }

  /**
   * Does something right before the client hears the first answer that fits, and keeps what the node says of extrinsics
   * from it. Gives whether it has come to that.
   */
  function beforeAnswer(relay: Relay, fits: (frame: Frame) => boolean, act: () => Promise<unknown>): () => boolean {
    let isDone = false
    relay.faults.toClient = (frame, line) => {
      if (frame.method === 'author_extrinsicUpdate') return null
      if (isDone || !fits(frame)) return frame
      isDone = true
      void act().then(() => line.sayToClient(frame))
      return null
    }
    return () => isDone
  }

  it('and takes back the block that it was in: it is open again, and gets into another', async () => {
    const { node, relay, chain } = await setUp(FORKING)
    const sent = cutAtFirst(relay, false, () => expect.poll(() => node.blockNumber()).toBe(1))
    const isAccount = ({ result }: Frame) => JSON.stringify(result ?? null).includes(ACCOUNTS)
    const isReplaced = beforeAnswer(relay, isAccount, () => node.replaceBlocks(1, 'lost'))
    const committing = chain.commitWeights(NETUID, `0x${'11'.repeat(32)}`, alice)
    await expect(committing).rejects.toMatchObject({ code: 'CommitRevealDisabled', mayTakeEffect: false })
    expect(isReplaced()).toBe(true)
    expect(sent).toEqual([sent[0], sent[0]])
  })

  it('and has it in place of another with its nonce: it is in a block', async () => {
    const { node, relay, chain } = await setUp(FORKING)
    const other = await opened(connectTo([node.url]))
    const others = { ...weights, weights: [1, 65_535] }
    const sent = cutAtFirst(relay, true, () => other.setWeights(others, alice))
    const isBlock = ({ result }: Frame) => typeof result === 'object' && result !== null && 'block' in result
    const isReplaced = beforeAnswer(relay, isBlock, async () => {
      await node.replaceBlocks(1, 'lost')
      const request = { id: 1, jsonrpc: '2.0', method: 'author_submitExtrinsic', params: [sent[0]] }
      const body = JSON.stringify(request)
      await fetch(node.url.replace('ws:', 'http:'), { method: 'POST', headers: JSON_BODY, body })
      await expect.poll(() => node.blockNumber()).toBe(3)
    })
    expect(await chain.setWeights(weights, alice)).toMatchObject({ block: 3 })
    expect(isReplaced()).toBe(true)
    expect(sent).toHaveLength(1)
  })
})
