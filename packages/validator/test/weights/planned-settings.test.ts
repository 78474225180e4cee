import { commitHash } from '@horde/chain/commits/commit-hash'
import { ChainError } from '@horde/chain/errors'
import { upscaled } from '@horde/chain/weights/row'
import type { Database, OpenDatabase } from '@horde/kit/database'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { planSetting } from '../../src/db/weight-settings.ts'
import { openTestDatabase, withPostgres } from '../db/databases.ts'
import { isScored, type Net, scored, setterOn, settingsOf, startNet, VALIDATOR } from './net.ts'

const postgres = withPostgres()
const PLAIN = 1
const REVEALING = 2
/** How many blocks of state a devchain keeps. */
const STATES_OF_NODE = 1_024

const engines = [
  ['pglite', async () => 'pglite://memory'],
  ['postgres', () => postgres().newDatabase()],
] as const

/** What happens to a setting whose process was killed after saving it as planned and before saving its block. */
describe.each(engines)('a planned setting of a killed process, on %s', (_, newUrl) => {
  let net: Net
  let database: OpenDatabase
  let db: Database
  beforeAll(async () => {
    database = await openTestDatabase(await newUrl())
    db = database.db
    net = await startNet({
      inclusionTimeoutMs: 3_000,
      subnets: [{ netuid: PLAIN }, { netuid: REVEALING, hyperparameters: { CommitRevealWeightsEnabled: true } }],
    })
  })
  afterAll(async () => {
    await net[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
  })

  const row = { uids: [1, 2], weights: [3, 4] }
  const salt = [1, 2, 3, 4, 5, 6, 7, 8]
  /** Saves a planned setting for a new batch. */
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
  /** Makes a block each time the validator reads the block number, so that an era passes. */
  const mining = () => ({
    blockNumber: async () => {
      await net.mine(1)
      return net.chain.blockNumber()
    },
  })

  it('is included and not sent again when a block includes it', async () => {
    const { id, batchId, sent } = await planned(PLAIN)
    const { block, blockHash } = await net.chain.setWeights(sent, VALIDATOR)
    await net.mine(2)
    const outcome = await setterOn(net, db).set(PLAIN)
    expect(outcome).toMatchObject({ outcome: 'set', basis: 'batches', block, confirmed: true })
    expect((await settingsOf(db, PLAIN)).at(-1)).toMatchObject({ id, state: 'included', block, blockHash })
    expect(await isScored(db, batchId)).toBe(true)
    expect(net.devchain.blockNumber()).toBe(block + 2)
  })

  it('is included, and only a newer batch goes into the next setting', async () => {
    const { batchId, sent } = await planned(PLAIN)
    await net.chain.setWeights(sent, VALIDATOR)
    const younger = await scored(db, PLAIN, [0, 0, 5])
    const outcome = await setterOn(net, db).set(PLAIN)
    expect(outcome).toMatchObject({ outcome: 'set', basis: 'batches', weights: [{ uid: 3, weight: 65_535 }] })
    const [first, second] = (await settingsOf(db, PLAIN)).slice(-2)
    expect([first?.batchIds, second?.batchIds]).toEqual([[batchId], [younger]])
    expect(await isScored(db, younger)).toBe(true)
  })

  it('is refused after its era when no block includes it, and its batch is scored again', async () => {
    const earlier = net.devchain.blockNumber()
    const { id, batchId } = await planned(PLAIN)
    const outcome = await setterOn(net, db).set(PLAIN, { chain: mining() })
    const all = await settingsOf(db, PLAIN)
    expect(all.find(each => each.id === id)).toMatchObject({
      ...{ state: 'refused', refusal: 'no block included it before its era was over', block: null },
    })
    expect(all.at(-1)).toMatchObject({ state: 'included', batchIds: [batchId] })
    expect(outcome).toMatchObject({ outcome: 'set', basis: 'batches' })
    expect(net.devchain.blockNumber()).toBeGreaterThan(earlier + 16)
  })

  it('is not confirmed by an equal row of an earlier setting', async () => {
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

  it('is included when a block includes it late in its era', async () => {
    const { id, batchId, sent } = await planned(PLAIN)
    let reads = 0
    const late = {
      findWeights: async (...args: Parameters<typeof net.chain.findWeights>) => {
        reads += 1
        if (reads === 3) await net.chain.setWeights(sent, VALIDATOR)
        return net.chain.findWeights(...args)
      },
    }
    expect(await setterOn(net, db).set(PLAIN, { chain: { ...mining(), ...late } })).toMatchObject({ outcome: 'set' })
    expect((await settingsOf(db, PLAIN)).at(-1)).toMatchObject({ id, state: 'included' })
    expect(await isScored(db, batchId)).toBe(true)
  })

  it('is committed when a block includes its commit, and revealed in its epoch', async () => {
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

  it('is refused when no block includes its commit, and its batch is committed again', async () => {
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

  it('is refused when no block includes its commit and the node has pruned the state of its era', async () => {
    const { batchId, id } = await planned(REVEALING)
    await net.mine(STATES_OF_NODE + 20)
    expect(await setterOn(net, db).set(REVEALING, { chain: mining() })).toMatchObject({ outcome: 'committed' })
    const all = await settingsOf(db, REVEALING)
    expect(all.find(each => each.id === id)?.state).toBe('refused')
    expect(all.at(-1)).toMatchObject({ state: 'committed', batchIds: [batchId] })
  })

  it('stays planned when no attempt gets an answer, and the next call finds its block', async () => {
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
    'is included and not sent again after %s when a block includes it',
    async code => {
      await scored(db, PLAIN, [2, 9])
      let sent = 0
      const unanswered = {
        setWeights: async (...args: Parameters<typeof net.chain.setWeights>) => {
          sent += 1
          await net.chain.setWeights(...args)
          throw Object.assign(new ChainError(code), { mayTakeEffect: true })
        },
      }
      const outcome = await setterOn(net, db).set(PLAIN, { chain: unanswered })
      expect(outcome).toMatchObject({ outcome: 'set', block: net.devchain.blockNumber(), confirmed: true })
      expect(sent).toBe(1)
    },
  )
})
