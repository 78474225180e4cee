import type { WeightsToSet } from '@horde/chain/chain'
import type { ChainErrorCode } from '@horde/chain/errors'
import type { Hotkey } from '@horde/chain/wallet'
import { hotkeyFromUri } from '@horde/chain/wallet'
import { createLog } from '@horde/kit/log'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { WeightsDeps } from '../../src/weights/set-weights.ts'
import { withDatabase } from '../db/databases.ts'
import { isScored, type Net, scored, setterOn, settingsOf, startNet } from './net.ts'

const database = withDatabase()
const TAO = 1_000_000_000n
const PLAIN = 1
const POOR = 2
const VERSIONED = 3
const LOW = 4
const MANY = 5
const LIMITED = 6
const REVEALING = 7
const STRICT_LATER = 8

let net: Net
/** A chain that requires stake. */
let guarded: Net
beforeAll(async () => {
  guarded = await startNet({ stakeThreshold: String(1_000n * TAO), subnets: [{ netuid: POOR, stakes: [999, 5_000] }] })
  net = await startNet({
    subnets: [
      { netuid: PLAIN },
      { netuid: VERSIONED, hyperparameters: { WeightsVersionKey: 7 } },
      { netuid: LOW, hyperparameters: { MaxAllowedValidators: 1 }, stakes: [2_000, 5_000] },
      { netuid: MANY, hyperparameters: { MinAllowedWeights: 3 } },
      { netuid: LIMITED, hyperparameters: { MaxWeightsLimit: 30_000 } },
      { netuid: REVEALING, tempo: 99, hyperparameters: { CommitRevealWeightsEnabled: true } },
      { netuid: STRICT_LATER, hyperparameters: { CommitRevealWeightsEnabled: true } },
    ],
  })
})
afterAll(async () => {
  await net[Symbol.asyncDispose]()
  await guarded[Symbol.asyncDispose]()
})

type Chain = WeightsDeps['chain']
/** Sends another row or from another hotkey than planned, so that the chain refuses it. */
const sending = (change: (row: WeightsToSet) => WeightsToSet, by?: Hotkey): Partial<Chain> => ({
  setWeights: (row, hotkey) => net.chain.setWeights(change(row), by ?? hotkey),
})
const asRead = (change: Partial<Awaited<ReturnType<Chain['commitReveal']>>>): Partial<Chain> => ({
  commitReveal: async (...args) => ({ ...(await net.chain.commitReveal(...args)), ...change }),
})
const row = (uids: number[], weights: number[]) => (sent: WeightsToSet) => ({ ...sent, uids, weights })

interface Case {
  /** The number of the chain's check. */
  check: number
  code: ChainErrorCode
  chainName: string
  netuid: number
  chain?: Partial<Chain>
}
/** In the order of the chain's checks. */
const PERMANENT: Case[] = [
  {
    ...{ check: 0, code: 'CommitRevealEnabled', chainName: 'CommitRevealEnabled', netuid: REVEALING },
    chain: asRead({ enabled: false }),
  },
  {
    ...{ check: 1, code: 'UnequalLengths', chainName: 'WeightVecNotEqualSize', netuid: PLAIN },
    chain: sending(row([1, 2], [1])),
  },
  {
    ...{ check: 1, code: 'RootNetwork', chainName: 'CanNotSetRootNetworkWeights', netuid: PLAIN },
    chain: sending(sent => ({ ...sent, netuid: 0 })),
  },
  {
    ...{ check: 2, code: 'SubnetNotFound', chainName: 'SubnetNotExists', netuid: PLAIN },
    chain: sending(sent => ({ ...sent, netuid: 99 })),
  },
  {
    ...{ check: 3, code: 'TooManyUids', chainName: 'UidsLengthExceedUidsInSubNet', netuid: PLAIN },
    chain: sending(row([0, 1, 2, 3, 4, 5], [1, 1, 1, 1, 1, 1])),
  },
  {
    ...{ check: 4, code: 'NotRegistered', chainName: 'HotKeyNotRegisteredInSubNet', netuid: PLAIN },
    chain: sending(sent => sent, hotkeyFromUri('//Unregistered')),
  },
  { check: 5, code: 'NotEnoughStake', chainName: 'Custom(1)', netuid: POOR },
  { check: 6, code: 'WrongVersionKey', chainName: 'IncorrectWeightVersionKey', netuid: VERSIONED },
  { check: 8, code: 'NoValidatorPermit', chainName: 'NeuronNoValidatorPermit', netuid: LOW },
  {
    ...{ check: 9, code: 'DuplicateUids', chainName: 'DuplicateUids', netuid: PLAIN },
    chain: sending(row([1, 1], [1, 1])),
  },
  {
    ...{ check: 10, code: 'InvalidUid', chainName: 'UidVecContainInvalidOne', netuid: PLAIN },
    chain: sending(row([1, 5], [1, 1])),
  },
  {
    ...{ check: 11, code: 'TooFewWeights', chainName: 'WeightVecLengthIsLow', netuid: MANY },
    chain: sending(row([1, 2], [1, 1])),
  },
  {
    ...{ check: 12, code: 'MaxWeightExceeded', chainName: 'MaxWeightExceeded', netuid: LIMITED },
    chain: sending(row([1, 2], [9, 1])),
  },
  {
    ...{ check: 0, code: 'CommitRevealDisabled', chainName: 'CommitRevealDisabled', netuid: PLAIN },
    chain: asRead({ enabled: true }),
  },
]

/** Collects all log lines, parsed. */
function listening() {
  const lines: Record<string, unknown>[] = []
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) }
  return { log: createLog('validator', { level: 'warn', destination }), lines }
}

describe('a permanent error of the chain', () => {
  it.each(PERMANENT)(
    'refuses the setting after one attempt: check $check, $chainName',
    async ({ code, chainName, netuid, chain = {} }) => {
      const { db } = database()
      const batchId = await scored(db, netuid, [3, 2, 1])
      const { log, lines } = listening()
      const on = netuid === POOR ? guarded : net
      const before = on.devchain.blockNumber()
      const setter = setterOn(on, db, { log })
      const refused = setter.set(netuid, { chain })
      await expect(refused).rejects.toMatchObject({ name: 'ChainError', code, chainName, retryable: false })
      // It is sent once. A block includes it only if the pallet refuses it, not if the pool does.
      expect(on.devchain.blockNumber() - before).toBe(chainName.startsWith('Custom') ? 0 : 1)
      const [setting, ...more] = (await settingsOf(db, netuid)).filter(each => each.batchIds.includes(batchId))
      expect(more).toEqual([])
      expect(setting).toMatchObject({ state: 'refused', refusal: expect.stringContaining(chainName) })
      expect(await isScored(db, batchId)).toBe(false)
      expect(lines).toMatchObject([{ msg: 'weights refused', setting: setting?.id, code, chainName }])
    },
  )

  it('is thrown before anything is saved when the hotkey is not registered', async () => {
    const { db } = database()
    const before = await settingsOf(db, PLAIN)
    const setter = setterOn(net, db, { hotkey: hotkeyFromUri('//Unregistered') })
    await expect(setter.set(PLAIN)).rejects.toMatchObject({ code: 'NotRegistered' })
    expect(await settingsOf(db, PLAIN)).toEqual(before)
  })

  it('is thrown before anything is saved when the subnet does not exist', async () => {
    const setter = setterOn(net, database().db)
    await expect(setter.set(99)).rejects.toMatchObject({ code: 'SubnetNotFound' })
    expect(await settingsOf(database().db, 99)).toEqual([])
  })

  it('lets the next setting use the batches of the refused one', async () => {
    const { db } = database()
    const setter = setterOn(net, db)
    const batchId = await scored(db, VERSIONED, [1, 1, 1])
    expect(await setter.set(VERSIONED, { request: { versionKey: 7 } })).toMatchObject({ outcome: 'set' })
    expect(await isScored(db, batchId)).toBe(true)
  })
})

describe('a retryable error of the chain', () => {
  it('SettingWeightsTooFast (check 7): waits for the rate limit and sets the weights', async () => {
    const { db } = database()
    const setter = setterOn(net, db)
    await setter.set(PLAIN)
    await net.devchain.setHyperparameters(PLAIN, { WeightsSetRateLimit: 5 })
    const batchId = await scored(db, PLAIN, [3, 2, 1])
    // The first read shows no limit, as if another program set weights right after it.
    let reads = 0
    const hasty: Partial<Chain> = {
      hyperparameters: async netuid => {
        reads += 1
        const rules = await net.chain.hyperparameters(netuid)
        return reads === 1 ? { ...rules, weightsSetRateLimit: 0 } : rules
      },
      blockNumber: async () => {
        await net.mine(1)
        return net.chain.blockNumber()
      },
    }
    const last = (await net.chain.metagraph(PLAIN)).neurons[0]?.lastUpdate ?? 0
    const { log, lines } = listening()
    const outcome = await setterOn(net, db, { log }).set(PLAIN, { chain: hasty })
    expect(outcome).toMatchObject({ outcome: 'set', confirmed: true })
    expect(outcome.outcome === 'set' && outcome.block - last).toBeGreaterThanOrEqual(5)
    expect(lines).toMatchObject([{ msg: 'weights not set, trying again', code: 'SettingWeightsTooFast', attempt: 1 }])
    expect(await isScored(db, batchId)).toBe(true)
    await net.devchain.setHyperparameters(PLAIN, { WeightsSetRateLimit: 0 })
  })

  it('SettingWeightsTooFast with a long limit: refuses the setting, and the batch is scored again later', async () => {
    const { db } = database()
    await setterOn(net, db).set(PLAIN)
    await net.devchain.setHyperparameters(PLAIN, { WeightsSetRateLimit: 100 })
    const batchId = await scored(db, PLAIN, [3, 2, 1])
    let reads = 0
    const hasty: Partial<Chain> = {
      hyperparameters: async netuid => {
        reads += 1
        const rules = await net.chain.hyperparameters(netuid)
        return reads === 1 ? { ...rules, weightsSetRateLimit: 0 } : rules
      },
    }
    const refused = setterOn(net, db).set(PLAIN, { chain: hasty })
    await expect(refused).rejects.toMatchObject({ code: 'SettingWeightsTooFast', retryable: true })
    expect((await settingsOf(db, PLAIN)).at(-1)).toMatchObject({ state: 'refused', batchIds: [batchId] })
    expect(await isScored(db, batchId)).toBe(false)
    expect(await setterOn(net, db).set(PLAIN)).toMatchObject({ outcome: 'too soon' })
    await net.devchain.setHyperparameters(PLAIN, { WeightsSetRateLimit: 0 })
  })

  it('TooManyCommits: is sent once, since only a later epoch helps', async () => {
    const { db } = database()
    const setter = setterOn(net, db)
    for (let count = 0; count < 10; count += 1) await setter.set(REVEALING)
    const before = net.devchain.blockNumber()
    const blind = asRead({ commits: [] })
    await expect(setter.set(REVEALING, { chain: blind })).rejects.toMatchObject({ code: 'TooManyCommits' })
    expect(net.devchain.blockNumber() - before).toBe(1)
    expect((await settingsOf(db, REVEALING)).at(-1)).toMatchObject({ state: 'refused' })
  })
})

describe('a permanent error of a reveal', () => {
  it.each<[ChainErrorCode, string, Parameters<Net['devchain']['setHyperparameters']>[1]]>([
    ['WrongVersionKey', 'IncorrectWeightVersionKey', { WeightsVersionKey: 7 }],
    ['TooFewWeights', 'WeightVecLengthIsLow', { WeightsVersionKey: 0, MinAllowedWeights: 4 }],
    ['MaxWeightExceeded', 'MaxWeightExceeded', { MinAllowedWeights: 1, MaxWeightsLimit: 20_000 }],
  ])('refuses the setting, and its batch is scored again: %s', async (_, chainName, later) => {
    const { db } = database()
    const setter = setterOn(net, db)
    const batchId = await scored(db, STRICT_LATER, [3, 2, 1])
    await net.devchain.setHyperparameters(STRICT_LATER, {
      WeightsVersionKey: 0,
      MinAllowedWeights: 1,
      MaxWeightsLimit: 65_535,
    })
    await net.passEpochs(STRICT_LATER, 1)
    expect(await setter.set(STRICT_LATER)).toMatchObject({ outcome: 'committed' })
    await net.devchain.setHyperparameters(STRICT_LATER, later)
    await net.passEpochs(STRICT_LATER, 1)
    expect(await setter.reveal(STRICT_LATER)).toBeUndefined()
    const last = (await settingsOf(db, STRICT_LATER)).at(-1)
    expect(last).toMatchObject({ state: 'refused', refusal: expect.stringContaining(chainName) })
    expect(last?.batchIds).toContain(batchId)
    expect(await isScored(db, batchId)).toBe(false)
  })
})
