import type { Devchain } from '@horde/devchain/devchain'
import { createLog } from '@horde/kit/log'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { alice, connectTo, NETUID, startNetwork } from './network.ts'
import { startRelay } from './relay.ts'

let node: Devchain
const open: AsyncDisposable[] = []
beforeAll(async () => {
  node = await startNetwork()
})
afterAll(() => node[Symbol.asyncDispose]())
afterEach(async () => {
  vi.restoreAllMocks()
  for (const it of open.splice(0).reverse()) await it[Symbol.asyncDispose]()
})

const hexOf = (text: string): string => Buffer.from(text).toString('hex')

/** Connects to a node that renames one of its signed extensions. Both names must have the same length. */
async function connectWith(extension: string, renamed: string) {
  const relay = await startRelay(node.url)
  open.push(relay)
  relay.faults = {
    toClient: frame => {
      const { result } = frame
      if (typeof result === 'string' && result.includes(hexOf(extension))) {
        return { ...frame, result: result.replaceAll(hexOf(extension), hexOf(renamed)) }
      }
      const methods = (result as { methods?: string[] } | null)?.methods
      return methods ? { ...frame, result: { methods: [...methods, 'foreign_method'] } } : frame
    },
  }
  const printed = (['debug', 'log', 'info', 'warn', 'error'] as const).map(name => vi.spyOn(console, name))
  const lines: { level: string; extensions?: string[] }[] = []
  const log = createLog('test', { destination: { write: line => void lines.push(JSON.parse(line)) } })
  const chain = await connectTo([relay.url], { log })
  open.push(chain)
  return { chain, lines, prints: () => printed.flatMap(({ mock }) => mock.calls) }
}

const weights = { netuid: NETUID, uids: [1, 2], weights: [65_535, 1], versionKey: 0 }

describe('an unknown signed extension', () => {
  it('is ignored when it encodes to nothing, and prints nothing to the console', async () => {
    const { chain, lines, prints } = await connectWith('DrandPriority', 'ShieldedCheck')
    expect(await chain.setWeights(weights, alice)).toMatchObject({ block: node.blockNumber() })
    expect(prints()).toEqual([])
    expect(lines.filter(({ level }) => level !== 'info')).toEqual([])
  })

  it('makes signing fail with its name when it encodes to something, while reads work', async () => {
    const { chain, lines, prints } = await connectWith('CheckMetadataHash', 'CheckSomethingNew')
    expect((await chain.metagraph(NETUID)).neurons).toHaveLength(3)
    const before = node.blockNumber()
    await expect(chain.setWeights(weights, alice)).rejects.toMatchObject({
      ...{ code: 'Unsupported', mayTakeEffect: false, message: expect.stringContaining('CheckSomethingNew') },
    })
    expect(node.blockNumber()).toBe(before)
    expect(prints()).toEqual([])
    expect(lines).toContainEqual(expect.objectContaining({ level: 'error', extensions: ['CheckSomethingNew'] }))
  })
})
