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
