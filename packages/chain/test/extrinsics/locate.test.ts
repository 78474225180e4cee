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

/** A deadline far beyond the test, to show that the call does not just wait for its deadline. */
const PATIENT = { inclusionTimeoutMs: 600_000 }
const JSON_BODY = { 'content-type': 'application/json' }
const weights = { netuid: NETUID, uids: [1, 2], weights: [65_535, 1], versionKey: 0 }

async function setUp(options?: NetworkOptions, clientOptions?: Partial<SubtensorOptions>) {
  const node: Devchain = await opened(startNetwork(options))
  const relay: Relay = await opened(startRelay(node.url))
  const chain: Subtensor = await opened(connectTo([relay.url], { ...PATIENT, ...clientOptions }))
  return { node, relay, chain }
}

describe('an extrinsic signed for another runtime than the node has', () => {
  const SPEC_VERSION = 425

  /**
   * Reports the runtime `first` on the client's first connection and cuts that when it gets an extrinsic. Reports
   * `later` on all later connections.
   */
  async function setOverLines(first: number, later: number): Promise<unknown> {
    const { relay, chain } = await setUp()
    const connections: unknown[] = []
    const versionOn = (connection: unknown) => (connections.indexOf(connection) === 0 ? first : later)
    const isVersion = (value: unknown): value is { specVersion: number } =>
      typeof value === 'object' && value !== null && 'specVersion' in value
    relay.faults = {
      toNode: (frame, connection) => {
        if (!connections.includes(connection)) connections.push(connection)
        if (connections.indexOf(connection) > 0 || !frame.method?.startsWith('author_submit')) return frame
        connection.cut()
        return null
      },
      toClient: (frame, connection) => {
        const specVersion = versionOn(connection)
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

  it('may still take effect when the node has an older runtime', async () => {
    const setting = setOverLines(SPEC_VERSION + 1, SPEC_VERSION)
    await expect(setting).rejects.toMatchObject({ code: 'BadSignature', mayTakeEffect: true })
  })

  it('is void when the node has a newer runtime', async () => {
    const setting = setOverLines(SPEC_VERSION, SPEC_VERSION + 1)
    await expect(setting).rejects.toMatchObject({ code: 'Unavailable', mayTakeEffect: false })
  })
})

describe('a fork that wins while the client looks for an extrinsic', () => {
  const FORKING = { finalityLag: 8 }
  /** The prefix of the storage keys of accounts. */
  const ACCOUNTS = '0x26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da9'
  type Frame = Parameters<NonNullable<Relay['faults']['toNode']>>[0]

  /**
   * Cuts the connection at the first submission, once `onFirst` is done. With `isLost` the node never gets that
   * submission. Returns a list that collects all submissions.
   */
  function cutAtFirst(relay: Relay, isLost: boolean, onFirst: () => Promise<unknown>): string[] {
    const sent: string[] = []
    relay.faults.toNode = (frame, connection) => {
      if (!frame.method?.startsWith('author_submit')) return frame
      sent.push(String((frame.params as unknown[])[0]))
      if (sent.length > 1) return frame
      void onFirst().then(() => connection.cut())
      return isLost ? null : frame
    }
    return sent
  }

  /**
   * Runs `act` right before the client receives the first answer that `fits`, and drops the node's reports about
   * extrinsics. Returns a function that returns whether that has happened.
   */
  function beforeAnswer(relay: Relay, fits: (frame: Frame) => boolean, act: () => Promise<unknown>): () => boolean {
    let isDone = false
    relay.faults.toClient = (frame, connection) => {
      if (frame.method === 'author_extrinsicUpdate') return null
      if (isDone || !fits(frame)) return frame
      isDone = true
      void act().then(() => connection.sendToClient(frame))
      return null
    }
    return () => isDone
  }

  it('sends it again when the fork has replaced the including block', async () => {
    const { node, relay, chain } = await setUp(FORKING)
    const sent = cutAtFirst(relay, false, () => expect.poll(() => node.blockNumber()).toBe(1))
    const isAccount = ({ result }: Frame) => JSON.stringify(result ?? null).includes(ACCOUNTS)
    const isReplaced = beforeAnswer(relay, isAccount, () => node.replaceBlocks(1, 'lost'))
    const committing = chain.commitWeights(NETUID, `0x${'11'.repeat(32)}`, alice)
    await expect(committing).rejects.toMatchObject({ code: 'CommitRevealDisabled', mayTakeEffect: false })
    expect(isReplaced()).toBe(true)
    expect(sent).toEqual([sent[0], sent[0]])
  })

  it('finds it when the fork includes it instead of another extrinsic with its nonce', async () => {
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
