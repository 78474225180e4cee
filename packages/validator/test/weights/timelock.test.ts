import { epochRange } from '@horde/chain/commits/epochs'
import { ChainError } from '@horde/chain/errors'
import { upscaled } from '@horde/chain/weights/row'
import type { Database, OpenDatabase } from '@horde/kit/database'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTestDatabase, withPostgres } from '../databases.ts'
import { isScored, type Net, scored, setterOn, settingsOf, startNet, VALIDATOR } from './net.ts'

const postgres = withPostgres()
const engines = [
  ['pglite', async () => 'pglite://memory'],
  ['postgres', () => postgres().newDatabase()],
] as const
/** The signature of round 1000 of drand's quicknet, and the time of that round. */
const PULSE = '0xb44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39'
const ROUND = 1_000
const ROUND_AT_MS = (1_692_803_367 + 3 * ROUND) * 1_000
const SUBNETS = [1, 2, 3, 4, 5, 6, 7, 8, 9]
const BY_TIMELOCK = { request: { commitBy: 'timelock' as const } }

/** The devchain knows only round 1000, so each validator's clock is set to make its commits use that round. */
describe.each(engines)('sealed commits, on %s', (_, newUrl) => {
  let net: Net
  let database: OpenDatabase
  let db: Database
  beforeAll(async () => {
    database = await openTestDatabase(await newUrl())
    db = database.db
    const hyperparameters = { CommitRevealWeightsEnabled: true }
    net = await startNet({ subnets: SUBNETS.map(netuid => ({ netuid, tempo: 9, hyperparameters })) })
  })
  afterAll(async () => {
    await net[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
  })

  async function setter(netuid: number) {
    await net.passEpochs(netuid, 1)
    const { epochs, revealPeriodEpochs, block, blockMs } = await net.chain.commitReveal(netuid, VALIDATOR.ss58)
    const first = epochRange(epochs, epochs.index + revealPeriodEpochs)?.first ?? 0
    return setterOn(net, db, { now: () => ROUND_AT_MS - (first + 3 - block) * blockMs })
  }
  const last = async (netuid: number) => (await settingsOf(db, netuid)).at(-1)
  const sealed = async (netuid: number) => (await net.chain.commitReveal(netuid, VALIDATOR.ss58)).sealed

  it('are refused when their round never comes, and the batch is scored again', async () => {
    const batchId = await scored(db, 1, [2, 1])
    const ours = await setter(1)
    expect(await ours.set(1, BY_TIMELOCK)).toMatchObject({ outcome: 'committed', basis: 'batches' })
    expect(await last(1)).toMatchObject({ state: 'committed', method: 'commit-timelocked', salt: null })
    expect(await isScored(db, batchId)).toBe(true)
    expect((await sealed(1)).map(({ hash }) => hash)).toEqual([(await last(1))?.commitHash])
    await net.passEpochs(1, 1)
    expect(await ours.reveal(1)).toBe(1_000)
    await net.passEpochs(1, 1)
    expect(await ours.reveal(1)).toBeUndefined()
    expect(await last(1)).toMatchObject({ state: 'refused' })
    expect(await isScored(db, batchId)).toBe(false)
  })

  it('of a killed process are found on the chain', async () => {
    const batchId = await scored(db, 2, [2, 1])
    const ours = await setter(2)
    const killed = {
      commitSealed: async (...args: Parameters<typeof net.chain.commitSealed>) => {
        await net.chain.commitSealed(...args)
        throw Object.assign(new ChainError('Closed'), { mayTakeEffect: true })
      },
    }
    await expect(ours.set(2, { ...BY_TIMELOCK, chain: killed })).rejects.toMatchObject({ code: 'Closed' })
    const block = net.devchain.blockNumber()
    expect(await last(2)).toMatchObject({ state: 'planned' })
    expect(await isScored(db, batchId)).toBe(false)
    expect(await setterOn(net, db).set(2, BY_TIMELOCK)).toMatchObject({ outcome: 'committed', block })
    expect(await last(2)).toMatchObject({ state: 'committed', commitBlock: block })
    expect(await isScored(db, batchId)).toBe(true)
    expect(await sealed(2)).toHaveLength(1)
  })

  it('are not chosen on a chain that receives no drand rounds', async () => {
    await scored(db, 8, [2, 1])
    expect(await (await setter(8)).set(8)).toMatchObject({ outcome: 'committed' })
    expect(await last(8)).toMatchObject({ method: 'commit-hash' })
  })

  it('are included once the chain has opened them', async () => {
    const batchId = await scored(db, 3, [2, 1])
    const ours = await setter(3)
    await ours.set(3, BY_TIMELOCK)
    expect(await ours.reveal(3)).toBeGreaterThan(0)
    await net.passEpochs(3, 1)
    expect(await ours.reveal(3)).toBe(1_000)
    await net.devchain.setPulse(ROUND, PULSE)
    await net.mine(1)
    expect(await ours.reveal(3)).toBeUndefined()
    expect(await last(3)).toMatchObject({ state: 'included', batchIds: [batchId] })
    const weights = upscaled([2, 1])
    expect(await net.held(3)).toEqual([1, 2].map((uid, i) => ({ uid, weight: weights[i] })))
  })

  it('are refused when their round never comes, even if the chain already holds an equal row', async () => {
    await net.devchain.setHyperparameters(5, { CommitRevealWeightsEnabled: false })
    const before = await scored(db, 5, [2, 1])
    expect(await setterOn(net, db).set(5)).toMatchObject({ outcome: 'set', confirmed: true })
    await net.devchain.setHyperparameters(5, { CommitRevealWeightsEnabled: true })
    const batchId = await scored(db, 5, [2, 1])
    const late = setterOn(net, db)
    expect(await late.set(5, BY_TIMELOCK)).toMatchObject({ outcome: 'committed' })
    await net.passEpochs(5, 3)
    expect(await sealed(5)).toEqual([])
    expect(await late.reveal(5)).toBeUndefined()
    expect(await last(5)).toMatchObject({ state: 'refused', block: null })
    expect([await isScored(db, before), await isScored(db, batchId)]).toEqual([true, false])
  })

  it('get the block that changed the row, even if checked much later', async () => {
    await scored(db, 6, [2, 1])
    const ours = await setter(6)
    await ours.set(6, BY_TIMELOCK)
    // The chain knows the round, so it opens the commit in the first block of the epoch.
    await net.devchain.setPulse(ROUND, PULSE)
    await net.passEpochs(6, 1)
    const block = net.devchain.blockNumber()
    await net.mine(25)
    expect(await ours.reveal(6)).toBeUndefined()
    expect(await last(6)).toMatchObject({ state: 'included', block })
  })

  it('of a killed process are found even after the chain has opened them', async () => {
    const batchId = await scored(db, 7, [2, 1])
    const ours = await setter(7)
    const killed = {
      commitSealed: async (...args: Parameters<typeof net.chain.commitSealed>) => {
        await net.chain.commitSealed(...args)
        throw Object.assign(new ChainError('Closed'), { mayTakeEffect: true })
      },
    }
    await expect(ours.set(7, { ...BY_TIMELOCK, chain: killed })).rejects.toMatchObject({ code: 'Closed' })
    const commitBlock = net.devchain.blockNumber()
    await net.passEpochs(7, 1)
    const block = net.devchain.blockNumber()
    await net.passEpochs(7, 3)
    const next = setterOn(net, db)
    expect(await next.set(7, BY_TIMELOCK)).toMatchObject({ outcome: 'committed', block: commitBlock })
    expect(await next.reveal(7)).toBeUndefined()
    expect(await last(7)).toMatchObject({ state: 'included', batchIds: [batchId], commitBlock, block })
  })

  it('are chosen on a chain that receives drand rounds', async () => {
    await net.devchain.setPulse(ROUND, PULSE)
    await scored(db, 8, [3, 1])
    expect(await (await setter(8)).set(8)).toMatchObject({ outcome: 'committed' })
    expect(await last(8)).toMatchObject({ method: 'commit-timelocked' })
  })

  it('are opened in their epoch after the tempo has changed', async () => {
    const batchId = await scored(db, 9, [2, 1])
    const ours = await setter(9)
    await ours.set(9, BY_TIMELOCK)
    await net.devchain.setTempo(9, 14)
    expect(await ours.reveal(9)).toBeGreaterThan(0)
    await net.passEpochs(9, 1)
    expect(await ours.reveal(9)).toBeUndefined()
    expect(await last(9)).toMatchObject({ state: 'included', block: net.devchain.blockNumber() })
    expect(await isScored(db, batchId)).toBe(true)
  })

  it('are refused for a past round', async () => {
    const batchId = await scored(db, 4, [2, 1])
    const late = setterOn(net, db, { now: () => ROUND_AT_MS - 90_000 })
    await expect(late.set(4, BY_TIMELOCK)).rejects.toMatchObject({ code: 'InvalidRevealRound' })
    expect(await last(4)).toMatchObject({ state: 'refused', refusal: expect.stringContaining('InvalidRevealRound') })
    expect(await isScored(db, batchId)).toBe(false)
    const byHash = await setter(4)
    expect(await byHash.set(4, { request: { commitBy: 'hash' } })).toMatchObject({ outcome: 'committed' })
    expect(await last(4)).toMatchObject({ method: 'commit-hash' })
  })
})
