/** The queries behind the status page and the metrics, on both engines. */
import { randomUUID } from 'node:crypto'
import type { Database, OpenDatabase } from '@horde/kit/database'
import { createMetrics } from '@horde/kit/metrics/registry'
import { manualClock } from '@horde/kit/time'
import { inArray } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lastBatches, lastOrganicJobs, lastSettings, minerScores, readFigures } from '../../src/db/overview.ts'
import { batches, jobs, weightSettings } from '../../src/db/schema.ts'
import { openHistory } from '../../src/operator/history.ts'
import { JobCounters } from '../../src/operator/metrics/job-counters.ts'
import { openTestDatabase, withPostgres } from '../db/databases.ts'

const postgres = withPostgres()
const START_MS = Date.parse('2026-01-01T00:00:00Z')
const at = (seconds: number) => new Date(START_MS + seconds * 1000)

const engines = [
  ['pglite', async () => 'pglite://memory'],
  ['postgres', () => postgres().newDatabase()],
] as const

describe.each(engines)('on %s', (_dialect, newUrl) => {
  let database: OpenDatabase
  let db: Database
  let ids: number[]
  const registry = createMetrics('validator')
  const counters = new JobCounters(registry, manualClock(START_MS))
  const row = (fields: Partial<typeof jobs.$inferInsert>) => ({
    ...{ uuid: randomUUID(), minerHotkey: 'bob', minerUid: 1, minerAddress: '127.0.0.2:1', createdAt: at(0) },
    ...({ state: 'finished', ...fields } as const),
  })

  beforeAll(async () => {
    database = await openTestDatabase(await newUrl())
    db = database.db
    const batch = { netuid: 1, benchmark: 'sha256', deadline: at(600) }
    const stored = await db
      .insert(batches)
      .values([
        { ...batch, startedAt: at(0), closedAt: at(60), scoredAt: at(70) },
        { ...batch, startedAt: at(100), closedAt: at(160) },
        { ...batch, startedAt: at(200), closedAt: at(210), counts: false },
        { ...batch, startedAt: at(300) },
        { ...batch, netuid: 2, startedAt: at(400) },
      ])
      .returning({ id: batches.id })
    ids = stored.map(({ id }) => id)
    const [first, second, , fourth] = ids
    const executorClass = 'always_on.test'
    await db.insert(jobs).values([
      row({
        batchId: first,
        endedAt: at(10),
        readyAt: at(1),
        runningAt: at(1.02),
        seconds: 7,
        score: 1.5,
        rightAnswer: true,
        executorClass,
      }),
      row({
        batchId: first,
        endedAt: at(11),
        score: 0,
        rightAnswer: false,
        minerHotkey: 'ann',
        minerUid: 2,
        reason: 'wrong-answer',
      }),
      row({ batchId: first, endedAt: at(12), score: 1, rightAnswer: true }),
      row({ batchId: second, endedAt: at(110), score: null, state: 'broken', reason: 'no-connection' }),
      row({ batchId: fourth, state: 'accepted' }),
      row({
        endedAt: at(20),
        state: 'failed',
        reason: 'exit-status',
        exitStatus: 3,
        source: 'command',
        createdAt: at(15),
      }),
      row({ state: 'running', source: 'facilitator', createdAt: at(16) }),
      row({ endedAt: at(-1), createdAt: at(-2) }),
    ])
    const setting = {
      netuid: 1,
      hotkey: 'me',
      basis: 'batches',
      batchIds: [],
      scores: [],
      uids: [1, 2],
      versionKey: 2n,
    }
    await db.insert(weightSettings).values([
      { ...setting, state: 'included', weights: [65_535, 1], plannedAt: at(61), endedAt: at(70), block: 42 },
      { ...setting, state: 'refused', weights: [1, 1], plannedAt: at(170), endedAt: at(171), refusal: 'no' },
      { ...setting, state: 'committed', method: 'commit-hash', weights: [1, 1], plannedAt: at(180) },
      { ...setting, hotkey: 'another', state: 'included', weights: [1, 1], plannedAt: at(180), block: 99 },
    ])
  })
  afterAll(() => database[Symbol.asyncDispose]())

  it('returns batches, the latest first, with their jobs by state', async () => {
    const last = await lastBatches(db, 1, 3)
    expect(last.map(({ id }) => id)).toEqual([ids[3], ids[2], ids[1]])
    expect((await lastBatches(db, 1, 9)).map(({ jobs: byState, rightAnswers }) => [byState, rightAnswers])).toEqual([
      ...[
        [{ accepted: 1 }, 0],
        [{}, 0],
        [{ broken: 1 }, 0],
        [{ finished: 3 }, 2],
      ],
    ])
  })

  it('returns the score of each miner in each batch', async () => {
    const scores = await minerScores(db, ids.slice(0, 2))
    expect(scores.sort((a, b) => a.batchId - b.batchId || b.score - a.score)).toEqual([
      { batchId: ids[0], hotkey: 'bob', uid: 1, score: 2.5 },
      { batchId: ids[0], hotkey: 'ann', uid: 2, score: 0 },
      { batchId: ids[1], hotkey: 'bob', uid: 1, score: 0 },
    ])
    expect(await minerScores(db, [])).toEqual([])
  })

  it('reads the scores of closed batches once, and those of open batches each time', async () => {
    const history = openHistory(db, 1, 'me')
    const rows = await history.batches(9)
    const sum = async () => (await history.scores(rows)).reduce((all, { score }) => all + score, 0)
    expect(await sum()).toBe(2.5)
    const job = (batchId: number | undefined) => row({ batchId: batchId ?? 0, score: 1, endedAt: at(-9) })
    const [closed, open] = [job(ids[0]), job(ids[3])]
    await db.insert(jobs).values([closed, open])
    expect(await sum()).toBe(3.5)
    await db.delete(jobs).where(inArray(jobs.uuid, [closed.uuid, open.uuid]))
    expect(await sum()).toBe(2.5)
  })

  it("returns the settings of one hotkey, and users' jobs", async () => {
    expect((await lastSettings(db, 1, 'me', 2)).map(({ state }) => state)).toEqual(['committed', 'refused'])
    const [running, failed] = await lastOrganicJobs(db, 2)
    expect([running?.state, failed?.reason, failed?.source]).toEqual(['running', 'exit-status', 'command'])
  })

  it('returns the figures for the metrics', async () => {
    const { openJobs, batches: byState, settings, ...more } = await readFigures(db, 1, 'me')
    expect(more).toEqual({ lastBatchAt: at(300), weightsBlock: 42 })
    expect(openJobs.sort((a, b) => a.kind.localeCompare(b.kind))).toEqual([
      { kind: 'organic', state: 'running', jobs: 1 },
      { kind: 'synthetic', state: 'accepted', jobs: 1 },
    ])
    expect(Object.fromEntries(byState.map(each => [each.state, each.batches]))).toEqual({
      ...{ scored: 1, unscored: 1, void: 1, open: 1 },
    })
    expect(Object.fromEntries(settings.map(each => [`${each.state} ${each.method}`, each.settings]))).toEqual({
      ...{ 'included set': 1, 'refused set': 1, 'committed commit-hash': 1 },
    })
  })

  it('counts a job once, even if its end is saved late, and none that ended before the start', async () => {
    const sample = async (name: string) => {
      const line = (await registry.metrics()).split('\n').find(each => each.startsWith(`${name} `))
      return line === undefined ? undefined : Number(line.slice(name.length))
    }
    const counted = (kind: string, name: string, end: string, reason: string) =>
      sample(`validator_jobs_total{kind="${kind}",executor_class="${name}",end="${end}",reason="${reason}"}`)
    for (const _ of [1, 2]) {
      await counters.countEnded(db)
      expect(await counted('synthetic', 'always_on.test', 'finished', 'none')).toBe(1)
      expect(await counted('synthetic', 'always_on.gpu-24gb', 'finished', 'none')).toBe(1)
      expect(await counted('synthetic', 'always_on.gpu-24gb', 'finished', 'wrong-answer')).toBe(1)
      expect(await counted('synthetic', 'always_on.gpu-24gb', 'broken', 'no-connection')).toBe(1)
      expect(await counted('organic', 'always_on.gpu-24gb', 'failed', 'exit-status')).toBe(1)
      expect(await counted('organic', 'always_on.gpu-24gb', 'finished', 'none'), 'of before').toBeUndefined()
    }
    await db.insert(jobs).values([row({ endedAt: at(30), executorClass: 'nonsense' }), row({ endedAt: at(400) })])
    await counters.countEnded(db)
    expect(await counted('organic', 'other', 'finished', 'none'), 'saved late').toBe(1)
    expect(await counted('organic', 'always_on.gpu-24gb', 'finished', 'none')).toBe(1)
    expect(await sample('validator_ready_to_work_seconds_sum')).toBeCloseTo(0.02)
    expect(await sample('validator_ready_to_work_seconds_count')).toBe(1)
    expect(await sample('validator_result_seconds_sum{kind="synthetic",executor_class="always_on.test"}')).toBe(7)
  })
})
