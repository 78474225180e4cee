import { ChainError } from '@horde/chain/errors'
import { upscaled } from '@horde/chain/weights/row'
import type { Database, OpenDatabase } from '@horde/kit/database'
import { createLog } from '@horde/kit/log'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { reportMiner } from '../../src/explain/explain-miner.ts'
import { openTestDatabase, withPostgres } from '../db/databases.ts'
import { isScored, type Net, scored, setterOn, settingsOf, startNet, VALIDATOR } from './net.ts'

const postgres = withPostgres()
const ON = { CommitRevealWeightsEnabled: true }
const engines = [
  ['pglite', async () => 'pglite://memory'],
  ['postgres', () => postgres().newDatabase()],
] as const
/** A subnet for each test. */
const SUBNETS = Array.from({ length: 15 }, (_, i) => i + 1)
const TWO_LATER = 20

describe.each(engines)('commit and reveal, on %s', (_, newUrl) => {
  let net: Net
  let database: OpenDatabase
  let db: Database
  let netuid = 0
  const free = [...SUBNETS]
  const fresh = () => {
    netuid = free.shift() ?? 0
    return netuid
  }
  beforeAll(async () => {
    database = await openTestDatabase(await newUrl())
    db = database.db
    net = await startNet({
      subnets: [
        ...SUBNETS.map(each => ({ netuid: each, tempo: 19, hyperparameters: ON })),
        { netuid: TWO_LATER, tempo: 9, hyperparameters: { ...ON, RevealPeriodEpochs: 2 } },
      ],
    })
  })
  afterAll(async () => {
    await net[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
  })

  const states = async (of = netuid) => (await settingsOf(db, of)).map(({ state }) => state)
  const last = async (of = netuid) => (await settingsOf(db, of)).at(-1)
  const rowOf = (uids: number[], weights: number[]) =>
    upscaled(weights).map((weight, i) => ({ uid: uids[i] ?? 0, weight }))
  /** Makes blocks up to the first of the next epoch, so that a commit has a whole epoch ahead. */
  const toEpoch = () => net.passEpochs(netuid, 1)

  it('commits, waits for the epoch and reveals, and the chain holds the row', async () => {
    fresh()
    await toEpoch()
    const batchId = await scored(db, netuid, [2, 1])
    const setter = setterOn(net, db)
    const outcome = await setter.set(netuid)
    expect(outcome).toMatchObject({ outcome: 'committed', basis: 'batches', block: net.devchain.blockNumber() })
    const { epochs } = await net.chain.commitReveal(netuid, VALIDATOR.ss58)
    expect(await last()).toMatchObject({
      ...{ state: 'committed', method: 'commit-hash', commitEpoch: BigInt(epochs.index), uids: [1, 2] },
      ...{ commitBlock: net.devchain.blockNumber(), block: null },
    })
    expect((await last())?.salt).toHaveLength(8)
    expect(await isScored(db, batchId), 'the commit scores the batch').toBe(true)
    expect(await net.commits(netuid)).toEqual([(await last())?.commitHash])
    expect(await net.held(netuid)).toEqual([])

    // Before the epoch it only returns when to check again, exact to the block.
    const againInMs = (await setter.reveal(netuid)) ?? 0
    expect(againInMs).toBe(((epochs.nextBlock ?? 0) - net.devchain.blockNumber()) * 1_000 - 500)
    await net.mine((epochs.nextBlock ?? 0) - net.devchain.blockNumber() - 1)
    expect(await setter.reveal(netuid)).toBe(500)
    await net.mine(1)
    expect(await setter.reveal(netuid)).toBeUndefined()
    expect(await net.held(netuid)).toEqual(rowOf([1, 2], [2, 1]))
    expect(await last()).toMatchObject({ state: 'included', block: net.devchain.blockNumber() })
    expect(await isScored(db, batchId)).toBe(true)
    expect(await setter.reveal(netuid)).toBeUndefined()
  })

  it('reveals the commits of another process, oldest first, each in its epoch', async () => {
    await net.passEpochs(TWO_LATER, 1)
    const first = await scored(db, TWO_LATER, [1, 0, 0])
    expect(await setterOn(net, db).set(TWO_LATER)).toMatchObject({ outcome: 'committed' })
    await net.passEpochs(TWO_LATER, 1)
    const second = await scored(db, TWO_LATER, [0, 1, 0])
    expect(await setterOn(net, db).set(TWO_LATER)).toMatchObject({ outcome: 'committed' })
    const third = await scored(db, TWO_LATER, [0, 0, 1])
    expect(await setterOn(net, db).set(TWO_LATER)).toMatchObject({ outcome: 'committed' })
    expect(await net.commits(TWO_LATER)).toHaveLength(3)

    const later = setterOn(net, db)
    expect(await later.reveal(TWO_LATER)).toBeGreaterThan(0)
    await net.passEpochs(TWO_LATER, 1)
    expect(await later.reveal(TWO_LATER)).toBeGreaterThan(0)
    expect(await states(TWO_LATER)).toEqual(['included', 'committed', 'committed'])
    expect(await net.held(TWO_LATER)).toEqual(rowOf([1], [1]))
    await net.passEpochs(TWO_LATER, 1)
    expect(await later.reveal(TWO_LATER)).toBeUndefined()
    expect(await states(TWO_LATER)).toEqual(['included', 'included', 'included'])
    expect(await net.held(TWO_LATER)).toEqual(rowOf([3], [1]))
    expect(await Promise.all([first, second, third].map(id => isScored(db, id)))).toEqual([true, true, true])
  })

  it('finds the reveal of a killed process on the chain', async () => {
    fresh()
    await toEpoch()
    const batchId = await scored(db, netuid, [2, 1])
    await setterOn(net, db).set(netuid)
    await toEpoch()
    const killed = {
      revealWeights: async (...args: Parameters<typeof net.chain.revealWeights>) => {
        await net.chain.revealWeights(...args)
        throw new Error('killed')
      },
    }
    await expect(setterOn(net, db).reveal(netuid, killed)).rejects.toThrow('killed')
    const block = net.devchain.blockNumber()
    expect(await states()).toEqual(['committed'])
    await net.mine(3)
    expect(await setterOn(net, db).reveal(netuid)).toBeUndefined()
    expect(await last()).toMatchObject({ state: 'included', block })
    expect(await isScored(db, batchId)).toBe(true)
    expect(net.devchain.blockNumber()).toBe(block + 3)
  })

  it('refuses a commit whose epoch is over, and commits its batch again', async () => {
    fresh()
    const batchId = await scored(db, netuid, [2, 1])
    const setter = setterOn(net, db)
    await setter.set(netuid)
    await net.passEpochs(netuid, 2)
    expect(await setter.reveal(netuid)).toBeUndefined()
    expect(await last()).toMatchObject({
      state: 'refused',
      refusal: expect.stringContaining('ended before the reveal'),
    })
    expect(await isScored(db, batchId)).toBe(false)
    expect(await setter.set(netuid)).toMatchObject({ outcome: 'committed', basis: 'batches' })
    await toEpoch()
    await setter.reveal(netuid)
    expect(await states()).toEqual(['refused', 'included'])
    expect(await isScored(db, batchId)).toBe(true)
  })

  it('refuses a commit that the chain dropped with a later reveal', async () => {
    fresh()
    await toEpoch()
    const setter = setterOn(net, db)
    const older = await scored(db, netuid, [1, 0])
    await setter.set(netuid)
    const younger = await scored(db, netuid, [0, 1])
    await setter.set(netuid)
    const [, second] = await settingsOf(db, netuid)
    await toEpoch()
    if (second) await net.chain.revealWeights({ ...second, salt: second.salt ?? [] }, VALIDATOR)
    expect(await setter.reveal(netuid)).toBeUndefined()
    expect(await states()).toEqual(['refused', 'included'])
    expect([await isScored(db, older), await isScored(db, younger)]).toEqual([false, true])
  })

  it('sets the weights without a commit after commit-reveal was switched off', async () => {
    fresh()
    const batchId = await scored(db, netuid, [2, 1])
    const setter = setterOn(net, db)
    await setter.set(netuid)
    await net.devchain.setHyperparameters(netuid, { CommitRevealWeightsEnabled: false })
    expect(await setter.reveal(netuid)).toBeUndefined()
    expect(await last()).toMatchObject({ state: 'refused', refusal: expect.stringContaining('switched off') })
    expect(await isScored(db, batchId)).toBe(false)
    expect(await setter.set(netuid)).toMatchObject({ outcome: 'set', basis: 'batches', confirmed: true })
    expect(await isScored(db, batchId)).toBe(true)
  })

  it('refuses the commit at the next check when commit-reveal is switched off during the reveal', async () => {
    fresh()
    await toEpoch()
    await scored(db, netuid, [2, 1])
    const setter = setterOn(net, db)
    await setter.set(netuid)
    await toEpoch()
    const late = {
      revealWeights: async (...args: Parameters<typeof net.chain.revealWeights>) => {
        await net.devchain.setHyperparameters(netuid, { CommitRevealWeightsEnabled: false })
        return net.chain.revealWeights(...args)
      },
    }
    expect(await setter.reveal(netuid, late)).toBe(1_000)
    expect(await states()).toEqual(['committed'])
    expect(await setter.reveal(netuid)).toBeUndefined()
    expect(await states()).toEqual(['refused'])
  })

  it('reveals later when the reveal period gets longer', async () => {
    fresh()
    await scored(db, netuid, [2, 1])
    const setter = setterOn(net, db)
    await setter.set(netuid)
    await net.devchain.setHyperparameters(netuid, { RevealPeriodEpochs: 3 })
    await net.passEpochs(netuid, 2)
    expect(await setter.reveal(netuid)).toBeGreaterThan(0)
    await toEpoch()
    expect(await setter.reveal(netuid)).toBeUndefined()
    expect(await states()).toEqual(['included'])
  })

  it.each([
    [19, 5],
    [19, 60],
  ])('reveals in the right epoch after the tempo changes from %d to %d', async (_from, tempo) => {
    fresh()
    const batchId = await scored(db, netuid, [2, 1])
    const setter = setterOn(net, db)
    await setter.set(netuid)
    await net.devchain.setTempo(netuid, tempo)
    expect(await setter.reveal(netuid)).toBeGreaterThan(0)
    expect(await states()).toEqual(['committed'])
    await toEpoch()
    expect(await setter.reveal(netuid)).toBeUndefined()
    expect(await last()).toMatchObject({ state: 'included', block: net.devchain.blockNumber() })
    expect(await isScored(db, batchId)).toBe(true)
  })

  it('reveals, logs and explains when a uid changed hotkeys since the commit', async () => {
    fresh()
    await scored(db, netuid, [2, 1])
    const lines: { msg: string; handovers?: unknown }[] = []
    const log = createLog('test', { destination: { write: line => void lines.push(JSON.parse(line)) } })
    const setter = setterOn(net, db, { log })
    await setter.set(netuid)
    await toEpoch()
    const metagraph = async (of: number) => {
      const real = await net.chain.metagraph(of)
      return { ...real, neurons: real.neurons.map(each => (each.uid === 1 ? { ...each, hotkey: 'another' } : each)) }
    }
    const was = (await net.chain.metagraph(netuid)).neurons[1]?.hotkey ?? ''
    expect(await setter.reveal(netuid, { metagraph })).toBeUndefined()
    expect(await states()).toEqual(['included'])
    const handovers = [{ uid: 1, from: was, to: 'another' }]
    expect(lines).toContainEqual(
      expect.objectContaining({
        msg: 'uids changed hotkeys between the commit of the weights and the reveal',
        handovers,
      }),
    )
    const deps = { chain: { metagraph, weightsOf: () => net.held(netuid) }, hotkey: VALIDATOR, db }
    for (const who of [was, 'another']) {
      expect(await reportMiner(netuid, who, deps)).toMatchObject({ handovers, weight: who === was ? 65_535 : 0 })
    }
  })

  it('keeps at most ten commits open', async () => {
    fresh()
    await toEpoch()
    const setter = setterOn(net, db)
    for (let count = 1; count <= 10; count += 1) {
      await scored(db, netuid, [count, 1])
      expect(await setter.set(netuid)).toMatchObject({ outcome: 'committed' })
    }
    const batchId = await scored(db, netuid, [11, 1])
    const before = net.devchain.blockNumber()
    expect(await setter.set(netuid)).toEqual({ outcome: 'too many commits', open: 10 })
    expect(net.devchain.blockNumber()).toBe(before)
    expect(await states()).toEqual(Array(10).fill('committed'))
    await toEpoch()
    expect(await setter.reveal(netuid)).toBeUndefined()
    expect(await states()).toEqual(Array(10).fill('included'))
    expect(await net.held(netuid)).toEqual(rowOf([1, 2], [10, 1]))
    expect(await setter.set(netuid)).toMatchObject({ outcome: 'committed' })
    expect(await isScored(db, batchId)).toBe(true)
  })

  it('tries again after a retryable error, and refuses the commit after a permanent one', async () => {
    fresh()
    await toEpoch()
    const batchId = await scored(db, netuid, [2, 1])
    const setter = setterOn(net, db)
    await setter.set(netuid)
    await toEpoch()
    const answer = (error: ChainError) => ({
      revealWeights: async () => {
        throw error
      },
    })
    for (const code of ['Unavailable', 'BlockFull', 'RevealOutOfRange', 'CommitNotFound'] as const) {
      expect(await setter.reveal(netuid, answer(new ChainError(code))), code).toBe(1_000)
    }
    const unsure = Object.assign(new ChainError('ChainRefused'), { mayTakeEffect: true })
    expect(await setter.reveal(netuid, answer(unsure))).toBe(1_000)
    expect(await states()).toEqual(['committed'])
    await net.devchain.setHyperparameters(netuid, { WeightsVersionKey: 7 })
    expect(await setter.reveal(netuid)).toBeUndefined()
    expect(await last()).toMatchObject({
      state: 'refused',
      refusal: expect.stringContaining('IncorrectWeightVersionKey'),
    })
    expect(await isScored(db, batchId)).toBe(false)
  })

  it('throws NoCommits before anything is saved when the chain has no call for commits', async () => {
    fresh()
    const batchId = await scored(db, netuid, [2, 1])
    const none = {
      commitReveal: async (...args: Parameters<typeof net.chain.commitReveal>) => ({
        ...(await net.chain.commitReveal(...args)),
        calls: [],
      }),
    }
    const refused = setterOn(net, db).set(netuid, { chain: none })
    await expect(refused).rejects.toMatchObject({ code: 'NoCommits', retryable: false })
    expect(await states()).toEqual([])
    expect(await isScored(db, batchId)).toBe(false)
  })
})
