import { commitHash } from '@horde/chain/commits/commit-hash'
import { ChainError } from '@horde/chain/errors'
import { upscaled } from '@horde/chain/weights/row'
import type { Database, OpenDatabase } from '@horde/kit/database'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { planSetting } from '../../src/db/weight-settings.ts'
import { openTestDatabase, withPostgres } from '../databases.ts'
import { isScored, type Net, scored, setterOn, settingsOf, startNet, VALIDATOR } from './net.ts'

const postgres = withPostgres()
const PLAIN = 1
const REVEALING = 2
/** So many blocks back a devchain's state can be read. */
const STATES_OF_NODE = 1_024

const engines = [
  ['pglite', async () => 'pglite://memory'],
  ['postgres', () => postgres().newDatabase()],
] as const

/** What a process leaves behind that is killed at some instant between writing down what it sets and noting its block. */
describe.each(engines)('a setting that was left open, on %s', (_, newUrl) => {
  let net: Net
  let database: OpenDatabase
  let db: Database
  beforeAll(async () => {
    database = await openTestDatabase(await newUrl())
    db = database.db
    net = await startNet({
      inclusionTimeoutMs: 500,
      subnets: [{ netuid: PLAIN }, { netuid: REVEALING, hyperparameters: { CommitRevealWeightsEnabled: true } }],
    })
  })
  afterAll(async () => {
    await net[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
  })

  const row = { uids: [1, 2], weights: [3, 4] }
  const salt = [1, 2, 3, 4, 5, 6, 7, 8]
  /** Written down, with a batch behind it. */
  async function planned(netuid: number, over: { plannedAtBlock?: number } = {}) {
    const batchId = await scored(db, netuid, [3, 4])
    const method = netuid === REVEALING ? ('commit-hash' as const) : ('set' as const)
    const sent = { netuid, ...row, versionKey: 2n }
    const hash = commitHash({ ...sent, salt }, VALIDATOR.ss58)
    const id = await planSetting(db, {
      ...{ ...sent, method, hotkey: VALIDATOR.ss58, basis: 'batches', batchIds: [batchId], scores: [] },
      ...{ plannedAt: new Date(), plannedAtBlock: await net.chain.blockNumber(), ...over },
      ...(method === 'commit-hash' ? { salt, commitHash: hash } : {}),
    })
    return { id, batchId, sent, hash }
  }
  const states = async (netuid: number) => (await settingsOf(db, netuid)).map(({ state }) => state)
  /** Mines whenever the validator has looked at the chain without an answer, so that an era passes. */
  const mining = () => ({
    blockNumber: async () => {
      await net.mine(1)
      return net.chain.blockNumber()
    },
  })

  it('in a block: its batch is scored, and it is not sent again', async () => {
    const { id, batchId, sent } = await planned(PLAIN)
    const { block, blockHash } = await net.chain.setWeights(sent, VALIDATOR)
    await net.mine(2)
    const outcome = await setterOn(net, db).set(PLAIN)
    expect(outcome).toMatchObject({ outcome: 'set', basis: 'batches', block, confirmed: true })
    expect((await settingsOf(db, PLAIN)).at(-1)).toMatchObject({ id, state: 'included', block, blockHash })
    expect(await isScored(db, batchId)).toBe(true)
    expect(net.devchain.blockNumber()).toBe(block + 2)
  })

  it('in a block, with a batch since: that one is set, and nothing twice', async () => {
    const { batchId, sent } = await planned(PLAIN)
    await net.chain.setWeights(sent, VALIDATOR)
    const younger = await scored(db, PLAIN, [0, 0, 5])
    const outcome = await setterOn(net, db).set(PLAIN)
    expect(outcome).toMatchObject({ outcome: 'set', basis: 'batches', weights: [{ uid: 3, weight: 65_535 }] })
    const [first, second] = (await settingsOf(db, PLAIN)).slice(-2)
    expect([first?.batchIds, second?.batchIds]).toEqual([[batchId], [younger]])
    expect(await isScored(db, younger)).toBe(true)
  })

  it('in no block: when its era is over it is refused, and its batch is free', async () => {
    const earlier = net.devchain.blockNumber()
    const { id, batchId } = await planned(PLAIN)
    const outcome = await setterOn(net, db).set(PLAIN, { chain: mining() })
    const all = await settingsOf(db, PLAIN)
    expect(all.find(each => each.id === id)).toMatchObject({
      ...{ state: 'refused', refusal: 'not in a block, as the chain says', block: null },
    })
    expect(all.at(-1)).toMatchObject({ state: 'included', batchIds: [batchId] })
    expect(outcome).toMatchObject({ outcome: 'set', basis: 'batches' })
    expect(net.devchain.blockNumber()).toBeGreaterThan(earlier + 16)
  })

  it('the same row from an earlier setting is not this one', async () => {
    const { sent, id } = await planned(PLAIN)
    await net.chain.setWeights(sent, VALIDATOR)
    await setterOn(net, db).set(PLAIN)
    const again = await planned(PLAIN)
    await setterOn(net, db).set(PLAIN, { chain: mining() })
    const all = await settingsOf(db, PLAIN)
    expect(all.find(each => each.id === id)?.state).toBe('included')
    expect(all.find(each => each.id === again.id)?.state).toBe('refused')
    expect(all.at(-1)).toMatchObject({ state: 'included', batchIds: [again.batchId] })
  })

  it('that gets into a block while its era lasts counts', async () => {
    const { id, batchId, sent } = await planned(PLAIN)
    let looks = 0
    const late = {
      findWeights: async (...args: Parameters<typeof net.chain.findWeights>) => {
        looks += 1
        if (looks === 3) await net.chain.setWeights(sent, VALIDATOR)
        return net.chain.findWeights(...args)
      },
    }
    expect(await setterOn(net, db).set(PLAIN, { chain: { ...mining(), ...late } })).toMatchObject({ outcome: 'set' })
    expect((await settingsOf(db, PLAIN)).at(-1)).toMatchObject({ id, state: 'included' })
    expect(await isScored(db, batchId)).toBe(true)
  })

  it('whose commit is in a block: committed, its batch scored, and revealed in its epoch', async () => {
    const { id, batchId, hash } = await planned(REVEALING)
    await net.chain.commitWeights(REVEALING, hash, VALIDATOR)
    const block = net.devchain.blockNumber()
    const setter = setterOn(net, db)
    expect(await setter.set(REVEALING)).toMatchObject({ outcome: 'committed', block })
    expect((await settingsOf(db, REVEALING)).at(-1)).toMatchObject({ id, state: 'committed', commitBlock: block })
    expect(await isScored(db, batchId)).toBe(true)
    await net.passEpochs(REVEALING, 1)
    expect(await setter.reveal(REVEALING)).toBeUndefined()
    expect(await states(REVEALING)).toEqual(['included'])
    const weights = upscaled(row.weights)
    expect(await net.held(REVEALING)).toEqual(row.uids.map((uid, i) => ({ uid, weight: weights[i] })))
  })

  it('whose commit is in no block: refused, and committed anew', async () => {
    const { batchId, hash } = await planned(REVEALING)
    const outcome = await setterOn(net, db).set(REVEALING, { chain: mining() })
    expect(outcome).toMatchObject({ outcome: 'committed', basis: 'batches' })
    const all = await settingsOf(db, REVEALING)
    expect(all.slice(-2).map(({ state, batchIds }) => [state, batchIds])).toEqual([
      ['refused', [batchId]],
      ['committed', [batchId]],
    ])
    expect(all.at(-1)?.commitHash).not.toBe(hash)
    expect(await net.commits(REVEALING)).toEqual([all.at(-1)?.commitHash])
  })

  it('whose commit is in no block, and the node keeps no state of its era: refused, and committed anew', async () => {
    const { batchId, id } = await planned(REVEALING)
    await net.mine(STATES_OF_NODE + 20)
    expect(await setterOn(net, db).set(REVEALING, { chain: mining() })).toMatchObject({ outcome: 'committed' })
    const all = await settingsOf(db, REVEALING)
    expect(all.find(each => each.id === id)?.state).toBe('refused')
    expect(all.at(-1)).toMatchObject({ state: 'committed', batchIds: [batchId] })
  })

  it('by a node that says nothing for long: it stays planned, and the next call finds it in its block', async () => {
    const batchId = await scored(db, PLAIN, [1, 5])
    const setter = setterOn(net, db)
    let sent = 0
    const unsure = {
      setWeights: async (...args: Parameters<typeof net.chain.setWeights>) => {
        sent += 1
        if (sent === 5) await net.chain.setWeights(...args)
        throw Object.assign(new ChainError('InclusionUnknown'), { mayTakeEffect: true })
      },
    }
    await expect(setter.set(PLAIN, { chain: unsure })).rejects.toMatchObject({ code: 'InclusionUnknown' })
    expect(sent).toBe(5)
    expect((await settingsOf(db, PLAIN)).at(-1)).toMatchObject({ state: 'planned', batchIds: [batchId] })
    expect(await isScored(db, batchId)).toBe(false)
    const head = net.devchain.blockNumber()
    expect(await setter.set(PLAIN)).toMatchObject({ outcome: 'set', block: head })
    expect(net.devchain.blockNumber()).toBe(head)
    expect(await isScored(db, batchId)).toBe(true)
  })

  it.each(['PriorityTooLow', 'AlreadyImported'] as const)(
    '%s for what is in a block after all: a success, not sent again',
    async code => {
      await scored(db, PLAIN, [2, 9])
      let sent = 0
      const told = {
        setWeights: async (...args: Parameters<typeof net.chain.setWeights>) => {
          sent += 1
          await net.chain.setWeights(...args)
          throw Object.assign(new ChainError(code), { mayTakeEffect: true })
        },
      }
      const outcome = await setterOn(net, db).set(PLAIN, { chain: told })
      expect(outcome).toMatchObject({ outcome: 'set', block: net.devchain.blockNumber(), confirmed: true })
      expect(sent).toBe(1)
    },
  )
})
