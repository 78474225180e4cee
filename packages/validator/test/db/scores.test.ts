import { randomUUID } from 'node:crypto'
import type { Database, OpenDatabase } from '@horde/kit/database'
import type { ScoreExplanation } from '@horde/validator/db/json-columns'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { batches, jobs, userJobs, weightSettings } from '../../src/db/schema.ts'
import {
  batchesToScore,
  classTotalsOf,
  lastSettingScores,
  minersJobs,
  newestSetting,
  requestedWork,
} from '../../src/db/scores.ts'
import { earnedScores } from '../../src/scoring/earned-scores.ts'
import { DEFAULT_SCORING_RULES } from '../../src/scoring/settings.ts'
import { openTestDatabase, withPostgres } from './databases.ts'

const postgres = withPostgres()
const NOW = Date.parse('2026-01-02T00:00:00Z')
const at = (seconds: number) => new Date(NOW + seconds * 1000)
const GPU = 'always_on.gpu-24gb'
const LLM = 'always_on.llm.a6000'
const DAY = 86_400

const engines = [
  ['pglite', async () => 'pglite://memory'],
  ['postgres', () => postgres().newDatabase()],
] as const

describe.each(engines)('on %s', (_, newUrl) => {
  let database: OpenDatabase
  let db: Database
  beforeAll(async () => {
    database = await openTestDatabase(await newUrl())
    db = database.db
  })
  afterAll(() => database[Symbol.asyncDispose]())

  type NewBatch = Partial<typeof batches.$inferInsert>
  const batch = async (netuid: number, over: NewBatch = {}, ...rows: Partial<typeof jobs.$inferInsert>[]) => {
    const values = { netuid, benchmark: 'sha256', startedAt: at(-60), deadline: at(0), closedAt: at(0), ...over }
    const [opened] = await db
      .insert(batches)
      .values({ scoring: 'efficiency', ...values })
      .returning({ id: batches.id })
    const id = opened?.id ?? 0
    for (const row of rows) await job({ batchId: id, ...row })
    return id
  }
  const job = (over: Partial<typeof jobs.$inferInsert>) =>
    db.insert(jobs).values({
      ...{ uuid: randomUUID(), minerHotkey: 'a', minerUid: 1, minerAddress: '127.0.0.2:1', state: 'finished' },
      ...{ createdAt: at(-60), endedAt: at(-1), ...over },
    })
  const neurons = (netuid: number, ...hotkeys: string[]) => ({
    ...{ netuid, block: 1 },
    neurons: hotkeys.map((hotkey, uid) => ({
      ...{ uid, hotkey, coldkey: '', stakeRao: 0n, validatorPermit: false, lastUpdate: 0, axon: null },
    })),
  })
  const earned = async (netuid: number, ...hotkeys: string[]) => {
    const clock = { now: () => NOW }
    const made = await earnedScores(neurons(netuid, ...hotkeys), { db, clock, scoringRules: DEFAULT_SCORING_RULES })
    return { ...made, scores: Object.fromEntries(made.scores) }
  }

  it('gives a miner whose jobs were all excused its average in the window', async () => {
    const scored = { scoredAt: at(-600), startedAt: at(-7_200) }
    await batch(
      90,
      scored,
      { minerHotkey: 'a', score: 2 },
      { minerHotkey: 'a', score: 1 },
      { minerHotkey: 'b', score: 3 },
    )
    await batch(90, { scoredAt: at(-600), startedAt: at(-2 * DAY) }, { minerHotkey: 'a', score: 100 })
    await batch(
      90,
      {},
      { minerHotkey: 'a', score: null },
      { minerHotkey: 'b', score: 1.5 },
      { minerHotkey: 'c', score: null },
    )
    const { scores } = await earnedScores(neurons(90, 'a', 'b', 'c'), { db, clock: { now: () => NOW } })
    expect(scores.get('a')).toBeCloseTo(0.5)
    expect(scores.get('b')).toBeCloseTo(0.5)
    expect(scores.get('c')).toBe(0)
  })

  it('finds closed batches that count and are not scored yet', async () => {
    const ids = [await batch(1), await batch(1, { scoring: '2024' })]
    await batch(1, { closedAt: null })
    await batch(1, { counts: false })
    await batch(1, { scoredAt: at(0) })
    await batch(2)
    expect(await batchesToScore(db, 1)).toEqual([
      { id: ids[0], scoring: 'efficiency', startedAt: at(-60) },
      { id: ids[1], scoring: '2024', startedAt: at(-60) },
    ])
  })

  it('adds up jobs by miner and class, using the default class without a manifest', async () => {
    const first = await batch(
      3,
      {},
      { score: 1, executorClass: GPU },
      { score: 0.5, executorClass: null },
      { score: null, executorClass: GPU, state: 'broken', reason: 'validator-away' },
      { score: 2, executorClass: LLM },
      { minerHotkey: 'b', score: null, state: 'broken', reason: 'abandoned' },
    )
    const second = await batch(3, {}, { score: 0, executorClass: GPU, state: 'rejected', reason: 'declined' })
    expect(await classTotalsOf(db, [first, second])).toEqual([
      { hotkey: 'a', executorClass: GPU, batches: 2, jobs: 4, excused: 1, sum: 1.5 },
      { hotkey: 'a', executorClass: LLM, batches: 1, jobs: 1, excused: 0, sum: 2 },
      { hotkey: 'b', executorClass: GPU, batches: 1, jobs: 1, excused: 1, sum: 0 },
    ])
    expect(await classTotalsOf(db, [])).toEqual([])
    const rows = await minersJobs(db, [second, first], 'a')
    expect(rows.map(({ batchId, state, score }) => [batchId, state, score])).toHaveLength(5)
    expect(rows.at(-1)).toMatchObject({ batchId: second, benchmark: 'sha256', reason: 'declined', score: 0 })
  })

  it("counts users' jobs in the window from the facilitator as demand, whether they ran or not", async () => {
    const organic = { source: 'facilitator', executorClass: LLM, createdAt: at(-500), endedAt: at(-100) } as const
    await job({ ...organic, readyAt: at(-400) })
    await job({ ...organic, readyAt: at(-150), state: 'failed' })
    await job({ ...organic, state: 'rejected', reason: 'declined' })
    await job({ ...organic, executorClass: null, state: 'broken', reason: 'no-connection' })
    await job({ ...organic, readyAt: at(-2), endedAt: null, state: 'ready' })
    await job({ ...organic, readyAt: at(-400), source: 'command' })
    await job({ ...organic, readyAt: at(-400), source: null })
    await job({ ...organic, readyAt: at(-3 * DAY), endedAt: at(-2 * DAY) })
    await batch(4, {}, { ...organic, readyAt: at(-400) })
    const userJob = randomUUID()
    await job({ ...organic, userJob, createdAt: at(-600), state: 'rejected', reason: 'declined' })
    await job({ ...organic, userJob, state: 'broken', reason: 'no-answer' })
    const refused = { request: '{"executor_class":"always_on.test"}', signatory: 'a', createdAt: at(-500) }
    const refusal = { reason: 'no-miner', message: 'none' } as const
    await db.insert(userJobs).values([
      { ...refused, uuid: randomUUID(), refusal, endedAt: at(-100) },
      { ...refused, uuid: randomUUID(), refusal, endedAt: at(-2 * DAY) },
    ])
    expect(await requestedWork(db, at(-DAY), at(0))).toEqual(
      new Map([
        [GPU, { executorSeconds: 0, ran: 0, turnedAway: 1 }],
        [LLM, { executorSeconds: 350, ran: 2, turnedAway: 2 }],
        ['always_on.test', { executorSeconds: 0, ran: 0, turnedAway: 1 }],
      ]),
    )
  })

  it('scores the batches in the window with the newest scoring, and sets the others aside', async () => {
    const old = await batch(5, { startedAt: at(-DAY - 1) }, { score: 9, executorClass: GPU })
    const other = await batch(5, { scoring: '2024' }, { score: 2, executorClass: GPU })
    const first = await batch(5, { startedAt: at(-DAY) }, { score: 1, executorClass: GPU })
    const b = { minerHotkey: 'b', executorClass: GPU }
    const gone = { minerHotkey: 'gone', executorClass: GPU, score: 100 }
    const second = await batch(5, {}, { score: 2, executorClass: GPU }, { ...b, score: 1 }, { ...b, score: 0 }, gone)
    const made = await earned(5, 'v', 'a', 'b')
    expect(made.batchIds).toEqual([old, other, first, second])
    expect(made.scores).toEqual({ a: 0.75, b: 0.25 })
    expect(made.explanation).toMatchObject({
      ...{ scoring: 'efficiency', batches: [first, second], setAside: [old, other], windowSeconds: DAY },
      classes: expect.arrayContaining([
        expect.objectContaining({ name: GPU, sum: 4, offered: 2, demanded: 4, share: 1 }),
      ]),
    })
  })

  it('adds up scores by 2024, and gives none for batches that are all too old', async () => {
    await batch(6, { scoring: '2024' }, { score: 1.5, executorClass: GPU }, { score: 1, executorClass: LLM })
    expect((await earned(6, 'a')).scores).toEqual({ a: 2.5 })
    const old = await batch(7, { startedAt: at(-2 * DAY) }, { score: 1 })
    expect(await earned(7, 'a')).toMatchObject({ batchIds: [old], scores: {}, explanation: { setAside: [old] } })
    expect(await earned(8, 'a')).toMatchObject({ batchIds: [], scores: {} })
  })

  it('finds the last and the newest setting with their explanations', async () => {
    const row = {
      ...{ netuid: 9, hotkey: 'v', basis: 'batches', batchIds: [], uids: [1], weights: [65_535], versionKey: 2n },
      ...{ scores: [{ hotkey: 'a', uid: 1, score: 1 }], plannedAt: at(0) },
    }
    const explanation: ScoreExplanation = {
      ...{ scoring: '2024', batches: [4], setAside: [], windowSeconds: 86_400, classes: [] },
      miners: [{ hotkey: 'a', score: 1 / 3, classes: [] }],
    }
    expect(await newestSetting(db, 9, 'v')).toBeUndefined()
    const ids = await db
      .insert(weightSettings)
      .values([
        { ...row, state: 'included', explanation: null },
        { ...row, state: 'included', explanation },
        { ...row, state: 'planned' },
        { ...row, state: 'refused' },
        { ...row, state: 'included', hotkey: 'w' },
      ])
      .returning({ id: weightSettings.id })
    expect(await lastSettingScores(db, 9, 'v')).toEqual({ id: ids[1]?.id, scores: row.scores, explanation })
    expect(await newestSetting(db, 9, 'v')).toMatchObject({ id: ids[2]?.id, state: 'planned', explanation: null })
    expect(await lastSettingScores(db, 10, 'v')).toBeUndefined()
  })
})
