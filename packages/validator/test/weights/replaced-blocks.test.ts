import { ERA_BLOCKS } from '@horde/chain/subtensor/extrinsics/submit'
import { upscaled } from '@horde/chain/weights/row'
import type { Database, OpenDatabase } from '@horde/kit/database'
import { silentLog } from '@horde/kit/log'
import { systemClock as clock } from '@horde/kit/time'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { recheckIncluded } from '../../src/weights/recheck-included.ts'
import { openTestDatabase, withPostgres } from '../databases.ts'
import { isScored, type Net, scored, setterOn, settingsOf, startNet, VALIDATOR } from './net.ts'

const postgres = withPostgres()
const engines = [
  ['pglite', async () => 'pglite://memory'],
  ['postgres', () => postgres().newDatabase()],
] as const
const PLAIN = [1, 2, 3, 5]
const LIMITED = 4
const REVEALING = [11, 12, 13, 14, 15]
const LAG = 4
const DOWN_MS = 24 * 3_600_000

describe.each(engines)('when a fork replaces the block, on %s', (_, newUrl) => {
  let net: Net
  let database: OpenDatabase
  let db: Database
  beforeAll(async () => {
    database = await openTestDatabase(await newUrl())
    db = database.db
    const hyperparameters = { CommitRevealWeightsEnabled: true }
    net = await startNet({
      finalityLag: LAG,
      subnets: [
        ...PLAIN.map(netuid => ({ netuid })),
        { netuid: LIMITED, hyperparameters: { WeightsSetRateLimit: 6 } },
        ...REVEALING.map(netuid => ({ netuid, tempo: 19, hyperparameters })),
      ],
    })
    await net.mine(LAG)
  })
  afterAll(async () => {
    await net[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
  })

  const last = async (netuid: number) => (await settingsOf(db, netuid)).at(-1)
  const states = async (netuid: number) => (await settingsOf(db, netuid)).map(({ state }) => state)
  const final = new Set<number>()
  const recheck = (netuid: number) =>
    recheckIncluded(netuid, final, { chain: net.chain, hotkey: VALIDATOR, db, clock, log: silentLog })
  const row = upscaled([2, 1]).map((weight, i) => ({ uid: i + 1, weight }))
  /** Makes a block each time the validator reads the block number, so that an era passes. */
  const mining = {
    blockNumber: async () => {
      await net.mine(1)
      return net.chain.blockNumber()
    },
  }

  it('saves the block that includes the weights now, and scores their batch once', async () => {
    const batchId = await scored(db, 1, [2, 1])
    const setter = setterOn(net, db)
    await setter.set(1)
    const before = await last(1)
    await net.devchain.replaceBlocks(1, 'again')
    await recheck(1)
    const after = await last(1)
    expect(after).toMatchObject({ id: before?.id, state: 'included', block: before?.block, batchIds: [batchId] })
    expect(after?.blockHash).not.toBe(before?.blockHash)
    expect(await net.chain.blockFinality(after?.block ?? 0, after?.blockHash ?? '')).toBe('pending')
    expect(await isScored(db, batchId)).toBe(true)
    await net.mine(LAG)
    await recheck(1)
    expect(final).toContain(after?.id)
  })

  it('puts the batch of lost weights into the next setting', async () => {
    const batchId = await scored(db, 2, [2, 1])
    const setter = setterOn(net, db)
    await setter.set(2)
    await net.devchain.replaceBlocks(2, 'lost')
    await recheck(2)
    expect(await last(2)).toMatchObject({ state: 'planned', block: null, blockHash: null, endedAt: null })
    expect(await isScored(db, batchId)).toBe(false)
    expect(await setter.set(2, { chain: mining })).toMatchObject({ outcome: 'set', confirmed: true })
    expect(await states(2)).toEqual(['refused', 'included'])
    expect(await last(2)).toMatchObject({ batchIds: [batchId] })
    expect(await isScored(db, batchId)).toBe(true)
  })

  it('looks for lost weights before it sets others, so that no batch counts twice', async () => {
    const older = await scored(db, 3, [2, 1])
    const setter = setterOn(net, db)
    await setter.set(3)
    await net.devchain.replaceBlocks(1, 'lost')
    const younger = await scored(db, 3, [0, 0, 5])
    await setter.set(3, { chain: mining })
    expect((await settingsOf(db, 3)).map(({ state, batchIds }) => [state, batchIds])).toEqual([
      ['refused', [older]],
      ['included', [older, younger]],
    ])
  })

  it('looks for lost weights at the next start after hours of downtime', async () => {
    const batchId = await scored(db, 5, [2, 1])
    await setterOn(net, db).set(5)
    await net.devchain.replaceBlocks(1, 'lost')
    const restarted = setterOn(net, db, { now: () => clock.now() + DOWN_MS })
    expect(await restarted.set(5, { chain: mining })).toMatchObject({ outcome: 'set', confirmed: true })
    expect(await states(5)).toEqual(['refused', 'included'])
    expect(await last(5)).toMatchObject({ batchIds: [batchId] })
  })

  it('reconciles weights that are lost while it waits for the rate limit before it sends others', async () => {
    const older = await scored(db, LIMITED, [2, 1])
    const setter = setterOn(net, db)
    await net.mine(6)
    await setter.set(LIMITED)
    const { id } = (await last(LIMITED)) ?? {}
    const younger = await scored(db, LIMITED, [0, 0, 5])
    let reads = 0
    const forking = {
      blockNumber: async () => {
        reads += 1
        if (reads === 1) await net.devchain.replaceBlocks(1, 'lost')
        // The loop that reveals weights rechecks at the same time.
        if (reads === 1) await recheck(LIMITED)
        return mining.blockNumber()
      },
    }
    const statesThen: string[] = []
    const sending = {
      setWeights: async (...args: Parameters<typeof net.chain.setWeights>) => {
        statesThen.push(...(await states(LIMITED)))
        return net.chain.setWeights(...args)
      },
    }
    expect(await setter.set(LIMITED, { chain: { ...forking, ...sending } })).toMatchObject({ outcome: 'set' })
    expect(statesThen).toEqual(['refused', 'planned'])
    const all = await settingsOf(db, LIMITED)
    expect(all[0]?.id).toBe(id)
    expect(all.at(-1)).toMatchObject({ state: 'included', batchIds: [older, younger] })
  })

  it('reveals a commit that another block includes now', async () => {
    const batchId = await scored(db, 11, [2, 1])
    await net.passEpochs(11, 1)
    const setter = setterOn(net, db)
    await setter.set(11)
    const block = net.devchain.blockNumber()
    await net.devchain.replaceBlocks(2, 'again')
    await setter.reveal(11)
    expect(await last(11)).toMatchObject({ state: 'committed', commitBlock: block - 1 })
    await net.passEpochs(11, 1)
    expect(await setter.reveal(11)).toBeUndefined()
    expect(await last(11)).toMatchObject({ state: 'included', batchIds: [batchId] })
    expect(await net.held(11)).toEqual(row)
  })

  it('commits again when a commit is lost, and its batch counts once', async () => {
    const batchId = await scored(db, 12, [2, 1])
    await net.passEpochs(12, 1)
    const setter = setterOn(net, db)
    await setter.set(12)
    await net.devchain.replaceBlocks(1, 'lost')
    expect(await setter.reveal(12)).toBeUndefined()
    expect(await last(12)).toMatchObject({ state: 'planned', commitBlock: null, committedAt: null })
    expect(await isScored(db, batchId)).toBe(false)
    expect(await setter.set(12, { chain: mining })).toMatchObject({ outcome: 'committed' })
    expect(await states(12)).toEqual(['refused', 'committed'])
    expect(await isScored(db, batchId)).toBe(true)
  })

  it('finds a lost commit that a late block includes, and does not commit twice', async () => {
    const batchId = await scored(db, 15, [2, 1])
    await net.passEpochs(15, 1)
    const setter = setterOn(net, db)
    await setter.set(15)
    const { commitHash, commitBlock } = (await last(15)) ?? {}
    await net.devchain.replaceBlocks(1, 'lost')
    await setter.reveal(15)
    const lastOfEra = (commitBlock ?? 0) + ERA_BLOCKS
    const statesOnTheWay = new Set<string>()
    const late = {
      blockNumber: async () => {
        for (const state of await states(15)) statesOnTheWay.add(state)
        if (net.devchain.blockNumber() === lastOfEra - 1) await net.chain.commitWeights(15, commitHash ?? '', VALIDATOR)
        return mining.blockNumber()
      },
    }
    expect(await setter.set(15, { chain: late })).toMatchObject({ outcome: 'committed', block: lastOfEra })
    expect([...statesOnTheWay]).toEqual(['planned'])
    expect(await settingsOf(db, 15)).toMatchObject([{ state: 'committed', commitHash, batchIds: [batchId] }])
    expect(await net.commits(15)).toEqual([commitHash])
    expect(await isScored(db, batchId)).toBe(true)
  })

  it('keeps a commit that is missing only on a losing fork', async () => {
    const batchId = await scored(db, 14, [2, 1])
    await net.passEpochs(14, 1)
    const setter = setterOn(net, db)
    await setter.set(14)
    const before = await last(14)
    let reads = 0
    /** Reads the first state from a fork without the commit, which then loses. */
    const commitReveal = async (...args: Parameters<typeof net.chain.commitReveal>) => {
      reads += 1
      if (reads > 1) return net.chain.commitReveal(...args)
      await net.devchain.replaceBlocks(1, 'lost')
      const state = await net.chain.commitReveal(...args)
      await net.chain.commitWeights(14, before?.commitHash ?? '', VALIDATOR)
      await net.devchain.replaceBlocks(3, 'again')
      return state
    }
    expect(await setter.reveal(14, { commitReveal })).toBeGreaterThan(0)
    expect(await last(14)).toMatchObject({ id: before?.id, state: 'committed', commitBlock: before?.commitBlock })
    expect(await isScored(db, batchId)).toBe(true)
    await net.passEpochs(14, 1)
    expect(await setter.reveal(14)).toBeUndefined()
    expect(await net.held(14)).toEqual(row)
  })

  it('reveals again when the block of a reveal is lost', async () => {
    const batchId = await scored(db, 13, [2, 1])
    await net.passEpochs(13, 1)
    const setter = setterOn(net, db)
    await setter.set(13)
    await net.passEpochs(13, 1)
    await setter.reveal(13)
    const before = await last(13)
    expect(before).toMatchObject({ state: 'included' })
    await net.devchain.replaceBlocks(1, 'lost')
    await recheck(13)
    expect(await last(13)).toMatchObject({ state: 'committed', block: null, endedAt: null })
    expect(await isScored(db, batchId)).toBe(true)
    expect(await setter.reveal(13)).toBeUndefined()
    expect(await last(13)).toMatchObject({ state: 'included', block: net.devchain.blockNumber() })
    expect(await net.held(13)).toEqual(row)
    expect(await states(13)).toEqual(['included'])
  })
})
