/** Follows jobs to weights on a chain: the planned weights, the set weights and the explained weights are the same. */
import { randomUUID } from 'node:crypto'
import type { Chain } from '@horde/chain/chain'
import { connectSubtensor } from '@horde/chain/subtensor'
import { hotkeyFromUri } from '@horde/chain/wallet'
import { type Devchain, startDevchain } from '@horde/devchain/devchain'
import { silentLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { REASONS } from '@horde/protocol/reasons'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { oneAtATime } from '../../src/db/lock.ts'
import { batches, jobs } from '../../src/db/schema.ts'
import { explainMiner, reportMiner } from '../../src/explain/explain-miner.ts'
import { weightsTable } from '../../src/explain/weights-table.ts'
import { DEFAULT_SCORING_RULES } from '../../src/scoring/settings.ts'
import { planWeights } from '../../src/weights/plan-weights.ts'
import { setWeights, type WeightsDeps } from '../../src/weights/set-weights.ts'
import { withDatabase } from '../db/databases.ts'
import { VALIDATOR } from '../jobs/drive.ts'

const NETUID = 1
const NEVER = new AbortController().signal
const GPU = 'always_on.gpu-24gb'
const LLM = 'always_on.llm.a6000'
const COLDKEY = hotkeyFromUri('//Owner').ss58
const [BOB, CHARLIE, DAVE] = ['//Bob', '//Charlie', '//Dave'].map(uri => hotkeyFromUri(uri).ss58) as [
  string,
  string,
  string,
]

const database = withDatabase()
let devchain: Devchain
let chain: Chain
beforeAll(async () => {
  const neuron = (hotkey: string, stake: string) => ({ hotkey, coldkey: COLDKEY, stake })
  const hyperparameters = {
    ...{ WeightsSetRateLimit: 1, MinAllowedWeights: 1, CommitRevealWeightsEnabled: false, MaxWeightsLimit: 65_535 },
  }
  const neurons = [neuron(VALIDATOR.ss58, '10000000000000'), ...[BOB, CHARLIE, DAVE].map(each => neuron(each, '0'))]
  const genesis = { sudo: COLDKEY, subnets: [{ netuid: NETUID, tempo: 5, hyperparameters, neurons }] }
  devchain = await startDevchain({ blockMs: 100, genesis })
  chain = await connectSubtensor({ endpoints: [devchain.url] })
  while (!(await chain.metagraph(NETUID)).neurons[0]?.validatorPermit) await devchain.mineBlock()
})
afterAll(async () => {
  await chain?.[Symbol.asyncDispose]()
  await devchain?.[Symbol.asyncDispose]()
})

async function batch(...rows: Partial<typeof jobs.$inferInsert>[]): Promise<number> {
  const { db } = database()
  const now = new Date()
  const values = { netuid: NETUID, benchmark: 'sha256', scoring: 'efficiency', startedAt: now, deadline: now } as const
  const [opened] = await db
    .insert(batches)
    .values({ ...values, closedAt: now })
    .returning({ id: batches.id })
  for (const row of rows) {
    const uids: Record<string, number> = { [BOB]: 1, [CHARLIE]: 2, [DAVE]: 3 }
    await db.insert(jobs).values({
      ...{ uuid: randomUUID(), batchId: opened?.id, minerHotkey: BOB, minerUid: uids[row.minerHotkey ?? BOB] ?? 0 },
      ...{ minerAddress: '127.0.0.2:1', state: 'finished', createdAt: now, endedAt: now, executorClass: GPU },
      ...row,
    })
  }
  return opened?.id ?? 0
}

const scoringRules = { ...DEFAULT_SCORING_RULES, classWeights: new Map([GPU, LLM].map(name => [name, 1])) }
const depsOf = (): WeightsDeps => ({
  scoringRules,
  ...{ chain, hotkey: VALIDATOR, db: database().db, clock: systemClock, log: silentLog },
  tryLock: oneAtATime('pglite', '', '', silentLog),
})
const set = () => setWeights({ netuid: NETUID, versionKey: 2, maxWaitBlocks: 10, blockPollMs: 20 }, depsOf(), NEVER)
async function explained(who: string) {
  const report = await reportMiner(NETUID, who, depsOf())
  return report && { ...report, text: explainMiner(report) }
}

it('explains each weight by the numbers it was computed from', async () => {
  expect((await explained(BOB))?.text).toContain('No weights have been set yet.')
  expect(await explained('4')).toBeUndefined()
  expect(await explained('unknown')).toBeUndefined()

  const id = await batch(
    { score: 6, seconds: 4.5 },
    { score: null, state: 'broken', reason: 'validator-away' },
    { score: 4, minerHotkey: CHARLIE, seconds: 6 },
    { score: 5, minerHotkey: CHARLIE, executorClass: LLM, seconds: 5 },
    { score: 0, minerHotkey: DAVE, executorClass: LLM, state: 'rejected', reason: 'declined' },
  )
  const plan = await planWeights(NETUID, depsOf())
  // Both classes have the same weight and enough capacity. The sums are 12 and 4 in one, 5 and 0 in the other.
  expect(plan.scores.map(({ uid, score }) => [uid, score])).toEqual([
    [1, 0.375],
    [2, 0.625],
  ])
  const table = weightsTable(plan, await chain.weightsOf(NETUID, 0), await chain.metagraph(NETUID))
  expect(table.split('\n').slice(0, 5)).toEqual([
    `The scores come from 1 batch (${id}), scored by efficiency.`,
    '',
    expect.stringMatching(/^uid {2}miner +score +weight {2}share +on the chain$/),
    `2    ${CHARLIE}  0.625000  65535   62.50 %  0`,
    `1    ${BOB}  0.375000  39321   37.50 %  0`,
  ])

  expect(await set()).toMatchObject({ outcome: 'set', basis: 'batches', confirmed: true })
  const [bob, dave] = [await explained('1'), await explained(DAVE)]
  expect(bob).toMatchObject({ hotkey: BOB, uid: 1, weight: 39_321, held: 39_321, setting: { state: 'included' } })
  expect(bob?.setting).toMatchObject({ explanation: plan.explanation, scores: plan.scores, weights: plan.row.weights })
  expect(bob?.text).toContain('always_on.gpu-24gb  2     1        12.0000  75.00 %       0.375000')
  expect(bob?.text).toContain('Its score is 0.375000, 37.50 % of the sum of 2 miners. This gives a weight of 39321')
  expect(bob?.text).toContain('The chain holds 39321 for uid 1, the same weight.')
  expect(dave).toMatchObject({ weight: 0, held: 0, jobs: [{ state: 'rejected', score: 0 }] })
  expect(dave?.text).toContain(REASONS.declined)
})

it('explains repeated weights by their original numbers', async () => {
  const first = await explained(BOB)
  await batch({ score: 0, state: 'rejected', reason: 'declined' })
  for (let again = 0; again < 2; again += 1) {
    expect(await set()).toMatchObject({ outcome: 'set', basis: 'last setting', confirmed: true })
    const now = await explained(BOB)
    expect(now?.setting?.explanation).toEqual({ repeats: first?.setting?.id, ...first?.setting?.explanation })
    expect(now?.text).toContain(`repeat those of setting ${first?.setting?.id}`)
    expect(now).toMatchObject({ weight: first?.weight, jobs: first?.jobs })
  }
})

it('shows in the table which weights the chain would drop, and that weights are repeated', async () => {
  const deps = depsOf()
  const plan = await planWeights(NETUID, deps)
  const row = { uids: [1], weights: [65_535] }
  const table = weightsTable({ ...plan, row }, await chain.weightsOf(NETUID, 0), await chain.metagraph(NETUID))
  expect(table).toContain('because no batch since then has a score.')
  expect(table).toMatch(new RegExp(`\n2 +${CHARLIE} +0.625000 +0 +0.00 % +65535\n`))
})
