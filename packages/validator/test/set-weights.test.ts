import { randomUUID } from 'node:crypto'
import type { Chain, Hyperparameters, WeightsToSet } from '@horde/chain/chain'
import { ChainError, type ChainErrorCode } from '@horde/chain/errors'
import { connectSubtensor } from '@horde/chain/subtensor'
import { hotkeyFromUri } from '@horde/chain/wallet'
import { upscaled } from '@horde/chain/weights/row'
import { type Devchain, type Genesis, startDevchain } from '@horde/devchain/devchain'
import { silentLog } from '@horde/kit/log'
import { manualClock, systemClock } from '@horde/kit/time'
import { desc, eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { closeBatch, openBatch } from '../src/batches/stored-batch.ts'
import { unscoredBatches } from '../src/db/batches.ts'
import { oneAtATime } from '../src/db/lock.ts'
import { jobs, weightSettings } from '../src/db/schema.ts'
import { setWeights, type WeightsDeps } from '../src/set-weights.ts'
import { withDatabase } from './databases.ts'
import { VALIDATOR } from './drive.ts'

const database = withDatabase()
const COLDKEY = hotkeyFromUri('//Owner').ss58
const MINERS = ['//Bob', '//Charlie', '//Dave'].map(uri => hotkeyFromUri(uri).ss58)
const NEVER = new AbortController().signal

let nextNetuid = 100

/** Saves a closed batch in which miner i has `scores[i]`. */
async function scored(netuid: number, scores: number[]): Promise<number> {
  const { db } = database()
  const now = new Date()
  const rows = scores.map((_, i) => ({
    ...{ uuid: randomUUID(), minerHotkey: MINERS[i] ?? 'gone', minerUid: i + 1, minerAddress: '127.0.0.2:1' },
  }))
  const { batch } = await openBatch(db, { netuid, benchmark: 'sha256', startedAt: now, deadline: now, jobs: rows })
  const { id } = batch
  await closeBatch(db, { id, at: now, counts: true }, silentLog)
  for (const [i, { uuid }] of rows.entries())
    await db
      .update(jobs)
      .set({ score: scores[i] ?? 0 })
      .where(eq(jobs.uuid, uuid))
  return id
}

async function settings(netuid: number) {
  const { db } = database()
  return db.select().from(weightSettings).where(eq(weightSettings.netuid, netuid)).orderBy(desc(weightSettings.id))
}

describe('on a real chain', () => {
  let devchain: Devchain
  let chain: Chain
  const NETUID = 1

  beforeAll(async () => {
    const tao = (amount: number) => String(BigInt(amount) * 1_000_000_000n)
    const genesis: Genesis = {
      sudo: COLDKEY,
      subnets: [
        {
          netuid: NETUID,
          tempo: 5,
          hyperparameters: {
            ...{ WeightsSetRateLimit: 2, MinAllowedWeights: 1, CommitRevealWeightsEnabled: false },
            MaxWeightsLimit: 65_535,
          },
          neurons: [
            { hotkey: VALIDATOR.ss58, coldkey: COLDKEY, stake: tao(10_000) },
            ...MINERS.map(hotkey => ({ hotkey, coldkey: COLDKEY, stake: 0 })),
          ],
        },
      ],
    }
    devchain = await startDevchain({ blockMs: 100, genesis })
    chain = await connectSubtensor({ endpoints: [devchain.url] })
    while (!(await chain.metagraph(NETUID)).neurons[0]?.validatorPermit) await devchain.mineBlock()
  })
  afterAll(async () => {
    await chain?.[Symbol.asyncDispose]()
    await devchain?.[Symbol.asyncDispose]()
  })

  it('sets uniform weights first, then those of the batches, and repeats them without new batches', async () => {
    const { db } = database()
    const deps: WeightsDeps = {
      ...{ chain, hotkey: VALIDATOR, db, clock: systemClock, log: silentLog },
      tryLock: oneAtATime('pglite', '', '', silentLog),
    }
    const request = { netuid: NETUID, versionKey: 2, maxWaitBlocks: 10, blockPollMs: 20 }
    const held = () => chain.weightsOf(NETUID, 0)
    const row = (...weights: number[]) => weights.map((weight, uid) => ({ uid, weight }))

    const uniform = await setWeights(request, deps, NEVER)
    expect(uniform).toMatchObject({ outcome: 'set', basis: 'uniform', confirmed: true })
    expect(await held()).toEqual(row(65_535, 65_535, 65_535, 65_535))

    const batchIds = [await scored(NETUID, [2, 1, 0]), await scored(NETUID, [0, 0.5, 0, 7])]
    const fresh = await setWeights(request, deps, NEVER)
    expect(fresh).toMatchObject({ outcome: 'set', basis: 'batches', confirmed: true })
    expect(await held()).toEqual([
      { uid: 1, weight: 65_535 },
      { uid: 2, weight: Math.round(65_535 * 0.75) },
    ])
    expect(await unscoredBatches(db, NETUID)).toEqual([])
    const [written] = await settings(NETUID)
    expect(written).toMatchObject({ state: 'included', batchIds, uids: [1, 2], versionKey: 2n, refusal: null })
    expect(written?.scores.map(({ hotkey, score }) => [hotkey, score])).toEqual([
      [MINERS[0], 2],
      [MINERS[1], 1.5],
    ])

    const before = await held()
    await scored(NETUID, [0, 0, 0])
    const again = await setWeights(request, deps, NEVER)
    expect(again).toMatchObject({ outcome: 'set', basis: 'last setting', confirmed: true })
    expect(await held()).toEqual(before)
    expect(await unscoredBatches(db, NETUID)).toEqual([])
    expect((await chain.metagraph(NETUID)).neurons[0]?.lastUpdate).toBe(again.outcome === 'set' && again.block)
  })
})

/** A fake chain with three miners and us. It gives the listed answers to set_weights and records what was sent. */
function answeringChain(netuid: number, answers: (ChainErrorCode | 'ok')[], mayTakeEffect = false) {
  const sent: WeightsToSet[] = []
  const state = { block: 500, lastUpdate: 400, held: [] as { uid: number; weight: number }[] }
  const rules = { netuid, minAllowedWeights: 1, maxWeightsLimit: 65_535, weightsSetRateLimit: 100 }
  const neurons = () =>
    [VALIDATOR.ss58, ...MINERS].map((hotkey, uid) => ({
      ...{ uid, hotkey, coldkey: COLDKEY, stakeRao: 0n, validatorPermit: true, axon: null },
      lastUpdate: uid === 0 ? state.lastUpdate : 0,
    }))
  const chain: WeightsDeps['chain'] = {
    blockNumber: async () => state.block++,
    metagraph: async () => ({ netuid, block: state.block, neurons: neurons() }),
    hyperparameters: async () => rules as Hyperparameters,
    weightsOf: async () => state.held,
    setWeights: async row => {
      sent.push(row)
      const answer = answers.shift() ?? 'ok'
      if (answer !== 'ok') throw Object.assign(new ChainError(answer), { mayTakeEffect })
      const weights = upscaled(row.weights)
      state.held = row.uids.map((uid, i) => ({ uid, weight: weights[i] ?? 0 }))
      return { block: state.block, blockHash: '0xb10c' }
    },
    findWeights: async () => undefined,
    findCommit: async () => undefined,
    blockFinality: async () => 'final',
    commitReveal: async () => ({
      ...{ netuid, block: state.block, enabled: false, revealPeriodEpochs: 1, blockMs: 1, calls: [], commits: [] },
      ...{ sealed: [], sealedVersion: 4, drandRound: null },
      epochs: { netuid, block: state.block, lengthBlocks: 10, index: 50, nextBlock: 510 },
    }),
    commitSealed: async () => {
      throw new ChainError('CommitRevealDisabled')
    },
    commitWeights: async () => {
      throw new ChainError('CommitRevealDisabled')
    },
  }
  return { chain, sent, state }
}

describe('when the chain refuses', () => {
  const run = async (answers: (ChainErrorCode | 'ok')[], mayTakeEffect = false) => {
    const netuid = nextNetuid++
    const batchId = await scored(netuid, [1, 1, 0])
    const answering = answeringChain(netuid, answers, mayTakeEffect)
    const { db } = database()
    const tryLock = oneAtATime('pglite', '', '', silentLog)
    const outcome = await setWeights(
      { netuid, versionKey: 2, maxWaitBlocks: 50, blockPollMs: 1, retry: { minMs: 1, maxMs: 1 } },
      { chain: answering.chain, hotkey: VALIDATOR, db, tryLock, clock: systemClock, log: silentLog },
      NEVER,
    ).catch((error: unknown) => error)
    return { netuid, batchId, outcome, ...answering }
  }

  it('tries again after retryable errors, and scores the batch once the weights are included', async () => {
    const { netuid, outcome, sent } = await run(['Unavailable', 'PriorityTooLow', 'NotIncluded', 'ok'])
    expect(outcome).toMatchObject({ outcome: 'set', confirmed: true })
    expect(sent).toHaveLength(4)
    expect(await unscoredBatches(database().db, netuid)).toEqual([])
    expect((await settings(netuid)).map(({ state }) => state)).toEqual(['included'])
  })

  it.each<ChainErrorCode>([
    ...(['StaleNonce', 'FutureNonce', 'ExpiredEra', 'BlockFull', 'Banned', 'AlreadyImported'] as const),
    ...(['InclusionUnknown', 'Timeout', 'RpcFailed', 'BadAnswer', 'SettingWeightsTooFast'] as const),
  ])('tries again after %s', async code => {
    const { outcome, sent } = await run([code, 'ok'])
    expect(outcome).toMatchObject({ outcome: 'set', confirmed: true })
    expect(sent).toHaveLength(2)
  })

  it.each<ChainErrorCode>([
    ...(['NotEnoughStake', 'BadSignature', 'BadSigner', 'NotAllowed', 'ChainRefused', 'Unsupported'] as const),
    ...(['Closed', 'NotRegistered', 'NotEnoughBalance', 'InvalidWeights'] as const),
  ])('does not try again after %s', async code => {
    const { netuid, batchId, outcome, sent } = await run([code, 'ok'])
    expect(outcome).toMatchObject({ code })
    expect(sent).toHaveLength(1)
    expect(await unscoredBatches(database().db, netuid)).toEqual([batchId])
  })

  it('gives up after five attempts and leaves the batch unscored', async () => {
    const { netuid, batchId, outcome, sent } = await run(Array(9).fill('Timeout'))
    expect(outcome).toMatchObject({ name: 'ChainError', code: 'Timeout' })
    expect(sent).toHaveLength(5)
    expect(await unscoredBatches(database().db, netuid)).toEqual([batchId])
    expect(await settings(netuid)).toMatchObject([{ state: 'refused', refusal: expect.stringContaining('Timeout') }])
  })

  it('keeps the setting planned when a block may still include it, whatever the last error', async () => {
    const { netuid, outcome, sent } = await run(['Timeout', 'NoValidatorPermit'], true)
    expect(outcome).toMatchObject({ name: 'ChainError', code: 'NoValidatorPermit' })
    expect(sent).toHaveLength(2)
    expect(await settings(netuid)).toMatchObject([{ state: 'planned', refusal: null }])
  })

  it('does not try again after a permanent error', async () => {
    const { netuid, batchId, outcome, sent } = await run(['NoValidatorPermit', 'ok'])
    expect(outcome).toMatchObject({ name: 'ChainError', code: 'NoValidatorPermit' })
    expect(sent).toHaveLength(1)
    expect(await unscoredBatches(database().db, netuid)).toEqual([batchId])
    expect(await settings(netuid)).toMatchObject([{ state: 'refused' }])
  })

  it('releases the lock after success and after an error', async () => {
    const netuid = nextNetuid++
    const { chain } = answeringChain(netuid, ['NoValidatorPermit'])
    const deps: WeightsDeps = {
      ...{ chain, hotkey: VALIDATOR, db: database().db, clock: systemClock, log: silentLog },
      tryLock: oneAtATime('pglite', '', '', silentLog),
    }
    const request = { netuid, versionKey: 2, maxWaitBlocks: 0 }
    await expect(setWeights(request, deps, NEVER)).rejects.toThrow('NoValidatorPermit')
    const outcomes = await Promise.all([1, 2, 3].map(() => setWeights(request, deps, NEVER)))
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['set', 'busy', 'busy'])
  })
})

describe('within the rate limit', () => {
  const prepare = async (maxWaitBlocks: number) => {
    const netuid = nextNetuid++
    await scored(netuid, [1, 2, 3])
    const answering = answeringChain(netuid, [])
    answering.state.block = 470
    const clock = manualClock()
    const tryLock = oneAtATime('pglite', '', '', silentLog)
    const deps = { chain: answering.chain, hotkey: VALIDATOR, db: database().db, tryLock, clock, log: silentLog }
    return { ...answering, clock, netuid, outcome: setWeights({ netuid, versionKey: 2, maxWaitBlocks }, deps, NEVER) }
  }

  it('waits block by block when its end is near', async () => {
    const { clock, outcome, sent } = await prepare(30)
    await clock.whenSleeping()
    await clock.advance(29_000)
    expect(sent).toHaveLength(0)
    await clock.advance(1_000)
    expect(await outcome).toMatchObject({ outcome: 'set', block: 501 })
    expect(sent).toHaveLength(1)
  })

  it('sets nothing when its end is far away', async () => {
    const { netuid, outcome, sent } = await prepare(29)
    expect(await outcome).toEqual({ outcome: 'too soon', dueAtBlock: 500 })
    expect(sent).toEqual([])
    expect(await settings(netuid)).toEqual([])
  })
})

it('repeats the chain’s weights when the database has none', async () => {
  const netuid = nextNetuid++
  const { chain, sent, state } = answeringChain(netuid, [])
  state.held = [
    { uid: 2, weight: 65_535 },
    { uid: 3, weight: 12_345 },
  ]
  const tryLock = oneAtATime('pglite', '', '', silentLog)
  const deps = { chain, hotkey: VALIDATOR, db: database().db, tryLock, clock: systemClock, log: silentLog }
  const outcome = await setWeights({ netuid, versionKey: 2, maxWaitBlocks: 0 }, deps, NEVER)
  expect(outcome).toMatchObject({ outcome: 'set', basis: 'chain', confirmed: true })
  expect(sent).toMatchObject([{ uids: [2, 3], weights: [65_535, 12_345] }])
})

it('leaves out hotkeys that have left the subnet', async () => {
  const netuid = nextNetuid++
  await scored(netuid, [0, 1, 0, 50])
  const { chain, sent } = answeringChain(netuid, [])
  const tryLock = oneAtATime('pglite', '', '', silentLog)
  const deps = { chain, hotkey: VALIDATOR, db: database().db, tryLock, clock: systemClock, log: silentLog }
  await setWeights({ netuid, versionKey: 2, maxWaitBlocks: 0 }, deps, NEVER)
  expect(sent).toMatchObject([{ uids: [2], weights: [65_535] }])
})
