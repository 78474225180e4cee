import type { Devchain } from '@horde/devchain/devchain'
import { TypeRegistry } from '@polkadot/types'
import { xxhashAsHex } from '@polkadot/util-crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { commitHash, newSalt } from '../src/commits/commit-hash.ts'
import { sealWeights } from '../src/commits/timelock.ts'
import { openCommit } from '../src/subtensor/weights/commit-reveal.ts'
import type { Subtensor } from '../src/subtensor.ts'
import { alice, bob, charlie, connectTo, EASY, NETUID, startNetwork, unregistered } from './network.ts'
import { startRelay } from './relay.ts'

const REVEALING = { ...EASY, CommitRevealWeightsEnabled: true }
const PLAIN = 2
const SLOW = 3
const TWO_LATER = 4
/** How many blocks of state a devchain keeps. */
const STATES_OF_NODE = 1_024
/** Errors that do not mean that the node has pruned the state. */
const UNRELATED_ERRORS = [
  { code: -32_029, message: 'Too many requests' },
  { code: -32_603, message: 'Internal error' },
  { code: -32_601, message: 'Method not found' },
]
/** Errors of a runtime without the call, and of a node that offers no runtime calls. */
const NO_SUCH_CALL = [
  { code: 4003, message: 'Client error: Execution failed: Other: Exported method is not found' },
  { code: -32_601, message: 'Method not found' },
]

let devchain: Devchain
let chain: Subtensor
const open: AsyncDisposable[] = []
beforeAll(async () => {
  devchain = await startNetwork({
    subnets: [
      { tempo: 9, hyperparameters: REVEALING },
      { netuid: PLAIN },
      { netuid: SLOW, hyperparameters: { ...REVEALING, WeightsSetRateLimit: 50 } },
      { netuid: TWO_LATER, tempo: 4, hyperparameters: { ...REVEALING, RevealPeriodEpochs: 2 } },
    ],
  })
  chain = await connectTo([devchain.url])
})
afterAll(async () => {
  await chain?.[Symbol.asyncDispose]()
  await devchain?.[Symbol.asyncDispose]()
})
afterEach(async () => {
  for (const each of open.splice(0)) await each[Symbol.asyncDispose]()
})

const rowOf = (weights: number[], netuid = NETUID) => ({
  ...{ netuid, uids: weights.map((_, uid) => uid), weights, versionKey: 0 },
  salt: newSalt(),
})
/** Makes blocks until `count` more epochs have begun. */
async function passEpochs(count: number, netuid = NETUID): Promise<void> {
  const { epochs } = await chain.commitReveal(netuid, alice.ss58)
  while ((await chain.commitReveal(netuid, alice.ss58)).epochs.index < epochs.index + count) await devchain.mineBlock()
}
const commit = (row: ReturnType<typeof rowOf>, hotkey = alice) =>
  chain.commitWeights(row.netuid, commitHash(row, hotkey.ss58), hotkey)

it('reads how a subnet accepts commits', async () => {
  expect(await chain.commitReveal(NETUID, bob.ss58)).toEqual({
    ...{ netuid: NETUID, block: devchain.blockNumber(), enabled: true, revealPeriodEpochs: 1, blockMs: 1_000 },
    epochs: expect.objectContaining({ netuid: NETUID, block: devchain.blockNumber() }),
    ...{ calls: ['commit_weights', 'commit_timelocked_weights'], commits: [], sealed: [] },
    ...{ sealedVersion: 4, drandRound: 0 },
  })
  expect(await chain.commitReveal(PLAIN, bob.ss58)).toMatchObject({ enabled: false })
  await expect(chain.commitReveal(99, bob.ss58)).rejects.toMatchObject({ code: 'SubnetNotFound' })
})

it('predicts the block in which the next epoch begins', async () => {
  const { epochs } = await chain.commitReveal(NETUID, alice.ss58)
  while (devchain.blockNumber() < (epochs.nextBlock ?? 0) - 1) await devchain.mineBlock()
  expect((await chain.commitReveal(NETUID, alice.ss58)).epochs.index).toBe(epochs.index)
  await devchain.mineBlock()
  expect((await chain.commitReveal(NETUID, alice.ss58)).epochs).toMatchObject({
    index: epochs.index + 1,
    block: epochs.nextBlock,
  })
})

it('throws when a busy node does not announce the epoch, instead of guessing it', async () => {
  const relay = await startRelay(devchain.url)
  open.push(relay)
  const away = await connectTo([relay.url])
  open.push(away)
  const refused = new Set<number | undefined>()
  let error = { code: -32_029, message: 'Too many requests' }
  relay.faults = {
    toNode: frame => {
      if (frame.method === 'state_call') refused.add(frame.id)
      return frame
    },
    toClient: frame => (refused.has(frame.id) ? { id: frame.id ?? 0, error } : frame),
  }
  const asking = away.commitReveal(NETUID, alice.ss58)
  await expect(asking).rejects.toMatchObject({ code: 'RpcFailed', retryable: true })
  const { epochs } = await chain.commitReveal(NETUID, alice.ss58)
  for (error of NO_SUCH_CALL) {
    expect((await away.commitReveal(NETUID, alice.ss58)).epochs).toMatchObject({ index: epochs.index })
  }
})

it('commits and reveals; a reveal removes older commits', async () => {
  const [first, second] = [rowOf([1, 2, 3], TWO_LATER), rowOf([3, 2, 1], TWO_LATER)]
  const inBlock = await commit(first)
  expect(inBlock).toEqual({ block: devchain.blockNumber(), blockHash: expect.stringMatching(/^0x[0-9a-f]{64}$/) })
  const { epochs, commits } = await chain.commitReveal(TWO_LATER, alice.ss58)
  expect(commits).toEqual([{ hash: commitHash(first, alice.ss58), epoch: epochs.index, block: inBlock.block }])
  await expect(chain.revealWeights(first, alice)).rejects.toMatchObject({
    ...{ code: 'RevealOutOfRange', chainName: 'Custom(17)', retryable: true },
  })
  await commit(second)
  await passEpochs(2, TWO_LATER)
  const shown = await chain.revealWeights(second, alice)
  const { block } = shown
  await devchain.mineBlock()
  expect(await chain.weightsOf(TWO_LATER, 0)).toEqual([
    { uid: 0, weight: 65_535 },
    { uid: 1, weight: 43_690 },
    { uid: 2, weight: 21_845 },
  ])
  expect((await chain.commitReveal(TWO_LATER, alice.ss58)).commits).toEqual([])
  const held = (row: typeof first) => {
    const { epoch = 0, block = 0 } = commits.find(({ hash }) => hash === commitHash(row, alice.ss58)) ?? {}
    return { ...row, hash: commitHash(row, alice.ss58), isSealed: false, epoch, block }
  }
  expect(await chain.findReveal({ ...held(second), block: inBlock.block + 1 }, alice.ss58)).toEqual(shown)
  expect(await chain.findReveal(held(first), alice.ss58)).toBeUndefined()
  expect(
    await chain.findReveal({ ...held(second), block }, alice.ss58),
    'the chain had already dropped it at that block',
  ).toBeUndefined()
  await expect(chain.revealWeights(first, alice)).rejects.toMatchObject({ code: 'CommitNotFound', retryable: false })
})

it('does not accept an equal row as evidence of a reveal', async () => {
  await devchain.setHyperparameters(NETUID, { CommitRevealWeightsEnabled: false })
  const row = rowOf([4, 5, 6])
  await chain.setWeights(row, alice)
  await devchain.setHyperparameters(NETUID, { CommitRevealWeightsEnabled: true })
  const { block } = await commit(row)
  const { commits } = await chain.commitReveal(NETUID, alice.ss58)
  const commitOf = { ...row, hash: commitHash(row, alice.ss58), isSealed: false, epoch: commits[0]?.epoch ?? 0, block }
  await passEpochs(2)
  // The chain drops the expired commit with the next commit.
  const younger = rowOf([6, 6, 6])
  await commit(younger)
  expect(await chain.findReveal(commitOf, alice.ss58)).toBeUndefined()
  // The same with a node that keeps only the latest state, where the row has the younger commit's date.
  const relay = await startRelay(devchain.url)
  open.push(relay)
  const away = await connectTo([relay.url])
  open.push(away)
  const refused = new Set<number | undefined>()
  relay.faults = {
    toNode: frame => {
      const [, at] = frame.params as [unknown, string]
      if (frame.method === 'state_queryStorageAt' && at !== devchain.headHash()) refused.add(frame.id)
      return frame
    },
    toClient: frame =>
      refused.has(frame.id) ? { id: frame.id ?? 0, error: { code: 4003, message: 'State already discarded' } } : frame,
  }
  expect(await away.findReveal(commitOf, alice.ss58)).toBeUndefined()
  expect(refused.size).toBeGreaterThan(0)
  for (const error of UNRELATED_ERRORS) {
    relay.faults.toClient = frame => (refused.has(frame.id) ? { id: frame.id ?? 0, error } : frame)
    await expect(away.findReveal(commitOf, alice.ss58)).rejects.toMatchObject({ code: 'RpcFailed', retryable: true })
  }
})

it('finds a held commit even when the node has pruned old states, and no other', async () => {
  const row = rowOf([1, 2, 3], TWO_LATER)
  const { block } = await commit(row)
  const hash = commitHash(row, alice.ss58)
  for (let made = 0; made < STATES_OF_NODE + 20; made += 1) await devchain.mineBlock()
  expect(await chain.findCommit(TWO_LATER, hash, alice.ss58, block - 1)).toMatchObject({ hash, block })
  const never = `0x${'11'.repeat(32)}`
  expect(await chain.findCommit(TWO_LATER, never, alice.ss58, block - 1)).toBeUndefined()
  // Other errors must not be taken for a missing commit.
  const relay = await startRelay(devchain.url)
  open.push(relay)
  const away = await connectTo([relay.url])
  open.push(away)
  const refused = new Set<number | undefined>()
  relay.faults = {
    toNode: frame => {
      const [, at] = frame.params as [unknown, string]
      if (frame.method === 'state_queryStorageAt' && at !== devchain.headHash()) refused.add(frame.id)
      return frame
    },
    toClient: frame =>
      refused.has(frame.id) ? { id: frame.id ?? 0, error: { code: -32_029, message: 'Too many requests' } } : frame,
  }
  const finding = away.findCommit(TWO_LATER, never, alice.ss58, block - 1)
  await expect(finding).rejects.toMatchObject({ code: 'RpcFailed', retryable: true })
})

describe('refusals', () => {
  it('throws a specific error for each refused commit', async () => {
    const plain = rowOf([1, 1, 1], PLAIN)
    await expect(commit(plain)).rejects.toMatchObject({ code: 'CommitRevealDisabled', retryable: false })
    await expect(chain.revealWeights(plain, alice)).rejects.toMatchObject({ code: 'CommitNotFound' })
    await expect(commit(rowOf([1]), unregistered)).rejects.toMatchObject({ code: 'NotRegistered' })
    await commit(rowOf([1, 1, 1], SLOW))
    await expect(commit(rowOf([1, 1, 1], SLOW))).rejects.toMatchObject({
      ...{ code: 'SettingWeightsTooFast', retryable: true },
    })
    for (let count = 0; count < 10; count += 1) await commit(rowOf([1, count, 1]), bob)
    // Ten may be open. The epoch may have changed meanwhile, but not twice.
    const one = rowOf([9, 9, 9])
    await expect(commit(one, bob)).rejects.toMatchObject({ code: 'TooManyCommits', retryable: true })
  })

  it('throws a specific error for each refused reveal', async () => {
    const row = rowOf([1, 2, 3])
    await commit(row)
    await expect(chain.revealWeights({ ...row, weights: [3, 2, 1] }, alice)).rejects.toMatchObject({
      code: 'CommitNotFound',
    })
    await expect(chain.revealWeights({ ...row, salt: [70_000] }, alice)).rejects.toMatchObject({
      code: 'InvalidWeights',
    })
    await passEpochs(2)
    await expect(chain.revealWeights(row, alice)).rejects.toMatchObject({ code: 'RevealOutOfRange' })
    // A neuron without a permit may commit, but not reveal.
    const futile = rowOf([1, 1, 1])
    await commit(futile, charlie)
    await passEpochs(1)
    await expect(chain.revealWeights(futile, charlie)).rejects.toMatchObject({ code: 'NoValidatorPermit' })
  })
})

it('finds a commit and a reveal on the chain after the connection was cut', async () => {
  const relay = await startRelay(devchain.url)
  open.push(relay)
  const away = await connectTo([relay.url])
  open.push(away)
  let submissions = 0
  relay.faults = {
    toNode: (frame, connection) => {
      if (frame.method !== 'author_submitAndWatchExtrinsic') return frame
      submissions += 1
      setImmediate(() => connection.cut())
      return frame
    },
  }
  const row = rowOf([5, 6, 7])
  expect(await away.commitWeights(NETUID, commitHash(row, alice.ss58), alice)).toMatchObject({
    block: devchain.blockNumber(),
  })
  await passEpochs(1)
  expect(await away.revealWeights(row, alice)).toMatchObject({ block: devchain.blockNumber() })
  expect(submissions).toBe(2)
})

it('sets mayTakeEffect on an error when a block may still include the extrinsic', async () => {
  const relay = await startRelay(devchain.url)
  open.push(relay)
  const hasty = await connectTo([relay.url], { inclusionTimeoutMs: 1_000 })
  open.push(hasty)
  relay.faults = { toNode: frame => (frame.method === 'author_submitAndWatchExtrinsic' ? null : frame) }
  const row = rowOf([5, 6, 7], PLAIN)
  await expect(hasty.setWeights(row, alice)).rejects.toMatchObject({ code: 'InclusionUnknown', mayTakeEffect: true })
  await expect(chain.setWeights(row, unregistered)).rejects.toMatchObject({
    code: 'NotRegistered',
    mayTakeEffect: false,
  })
})

it('decodes the old and the new form of a commit', () => {
  const registry = new TypeRegistry()
  const hash = `0x${'ab'.repeat(32)}`
  const stored = (...numbers: number[]) => registry.createType('(H256,u64,u64,u64)', [hash, ...numbers])
  expect(openCommit(stored(41, 417, 0), 1, 9)).toEqual({ hash, epoch: 41, block: 417 })
  expect(openCommit(stored(417, 428, 437), 1, 9)).toEqual({ hash, epoch: 41, block: 417 })
})

describe('sealed commits', () => {
  /** The signature of round 1000 of drand's quicknet, and a time at which the formula gives that round. */
  const PULSE = '0xb44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39'
  const ROUND = 1_000
  const ROUND_AT_MS = (1_692_803_367 + 3 * ROUND) * 1_000

  async function sealNow(row: ReturnType<typeof rowOf>) {
    const state = await chain.commitReveal(row.netuid, alice.ss58)
    const first = (state.epochs.nextBlock ?? 0) + (state.revealPeriodEpochs - 1) * state.epochs.lengthBlocks
    return sealWeights(row, alice.ss58, state, ROUND_AT_MS - (first + 3 - state.block) * state.blockMs)
  }

  it('are opened by the chain in their epoch once it knows the round', async () => {
    const row = rowOf([7, 8, 9])
    const sealed = await sealNow(row)
    expect(sealed).toMatchObject({ call: 'commit_timelocked_weights', version: 4, round: ROUND })
    const { block } = await chain.commitSealed(sealed, alice)
    const { epochs, sealed: open } = await chain.commitReveal(NETUID, alice.ss58)
    expect(open).toEqual([{ hash: sealed.hash, epoch: epochs.index, block }])
    expect((await chain.commitReveal(NETUID, bob.ss58)).sealed).toEqual([])
    await passEpochs(1)
    await devchain.mineBlock()
    expect((await chain.commitReveal(NETUID, alice.ss58)).sealed).toHaveLength(1)
    await devchain.setPulse(ROUND, PULSE)
    await devchain.mineBlock()
    expect((await chain.commitReveal(NETUID, alice.ss58)).sealed).toEqual([])
    expect((await chain.weightsOf(NETUID, 0)).map(({ uid, weight }) => [uid, weight])).toEqual([
      [0, 50_972],
      [1, 58_253],
      [2, 65_535],
    ])
  })

  it('are refused for a past round', async () => {
    const late = { ...(await sealNow(rowOf([1, 1, 1]))), round: ROUND - 1 }
    await expect(chain.commitSealed(late, alice)).rejects.toMatchObject({
      ...{ code: 'InvalidRevealRound', chainName: 'Custom(15)', retryable: false },
    })
  })

  it('are sent again in the chain’s version when that has changed', async () => {
    const sealed = { ...(await sealNow(rowOf([1, 1, 2]))), version: 3 }
    const before = devchain.blockNumber()
    const { block } = await chain.commitSealed(sealed, alice)
    expect([block, devchain.blockNumber()]).toEqual([before + 2, before + 2])
    const { sealed: open } = await chain.commitReveal(NETUID, alice.ss58)
    expect(open.map(({ hash }) => hash)).toContain(sealed.hash)
  })

  it('are sent only once when the chain refuses the version that it names', async () => {
    const relay = await startRelay(devchain.url)
    open.push(relay)
    const misled = await connectTo([relay.url])
    open.push(misled)
    const sealed = { ...(await sealNow(rowOf([1, 1, 3]))), version: 3 }
    const digits = (name: string) => xxhashAsHex(name, 128).slice('0x'.length)
    const key = `0x${digits('SubtensorModule')}${digits('CommitRevealWeightsVersion')}`
    relay.faults = {
      toClient: frame => {
        const sets = (Array.isArray(frame.result) ? frame.result : []) as { changes?: [string, string | null][] }[]
        for (const change of sets.flatMap(({ changes = [] }) => changes)) if (change[0] === key) change[1] = '0x0300'
        return frame
      },
    }
    const before = devchain.blockNumber()
    await expect(misled.commitSealed(sealed, alice)).rejects.toMatchObject({
      ...{ code: 'WrongCommitVersion', chainName: 'IncorrectCommitRevealVersion', retryable: false },
    })
    expect(devchain.blockNumber()).toBe(before + 1)
  })

  it('use the older payload for the older call', async () => {
    const state = await chain.commitReveal(NETUID, alice.ss58)
    const [newer, older] = (['commit_timelocked_weights', 'commit_crv3_weights'] as const).map(call =>
      sealWeights(rowOf([1, 1, 1]), alice.ss58, { ...state, calls: [call] }, Date.now()),
    )
    // The hotkey, 32 bytes and their length.
    expect((newer?.ciphertext.length ?? 0) - (older?.ciphertext.length ?? 0)).toBe(33)
    await expect(async () => chain.commitSealed(older as NonNullable<typeof older>, alice)).rejects.toMatchObject({
      code: 'Unsupported',
    })
  })
})
