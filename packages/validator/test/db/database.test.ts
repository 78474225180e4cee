import { randomUUID } from 'node:crypto'
import type { Database, OpenDatabase } from '@horde/kit/database'
import { silentLog } from '@horde/kit/log'
import type { JobState } from '@horde/protocol/job-state'
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { closeBatch, closeOverdueBatches, openBatch } from '../../src/batches/stored-batch.ts'
import { countJobs, lastBatchStart, unscoredBatches } from '../../src/db/batches.ts'
import { EMPTY_RESULT, type JobChange, noteOf, overdueOrganicJobs, saveChanges } from '../../src/db/jobs.ts'
import { oneAtATime } from '../../src/db/lock.ts'
import { batches, jobs, weightSettings } from '../../src/db/schema.ts'
import { classTotalsOf, lastSettingScores } from '../../src/db/scores.ts'
import { planSetting, refuseSetting, settleSetting } from '../../src/db/weight-settings.ts'
import { abandonJobs, type Move, openJobs, transition } from '../../src/jobs/transition.ts'
import { openTestDatabase, withPostgres } from './databases.ts'

const postgres = withPostgres()
const START = new Date('2026-01-01T00:00:00Z')
const LATER = new Date('2026-01-01T00:10:00Z')

const engines = [
  ['pglite', async () => 'pglite://memory'],
  ['postgres', () => postgres().newDatabase()],
] as const

describe.each(engines)('on %s', (dialect, newUrl) => {
  let url: string
  let database: OpenDatabase
  let db: Database
  beforeAll(async () => {
    url = await newUrl()
    database = await openTestDatabase(url)
    db = database.db
    expect(database.dialect).toBe(dialect)
  })
  afterAll(() => database[Symbol.asyncDispose]())

  const newJob = (minerHotkey = 'bob') => ({
    uuid: randomUUID(),
    minerHotkey,
    minerUid: 1,
    minerAddress: '127.0.0.2:1',
  })
  const newBatch = async (netuid: number, newJobs = [newJob()]) => {
    const open = { netuid, benchmark: 'sha256', startedAt: START, deadline: LATER, jobs: newJobs }
    return (await openBatch(db, open)).batch.id
  }
  const close = (id: number, counts: boolean) => closeBatch(db, { id, at: LATER, counts }, silentLog)
  const jobOf = async (uuid: string) => (await db.select().from(jobs).where(eq(jobs.uuid, uuid)))[0]
  const save = async (change: JobChange) => (await saveChanges(db, [change])).has(change.uuid)
  /** Moves a job that this process believes to be in this state. */
  const moveJob = (uuid: string, state: JobState, event: Move['event'], more: Partial<Move> = {}) =>
    transition({ uuid, state }, { event, at: START, ...more }, { save, log: silentLog })
  const planJob = async (uuid: string, plan: { executorClass: string | null; image: string | null }) =>
    (await saveChanges(db, [noteOf(uuid, plan)])).has(uuid)
  const finish = (uuid: string, score: number) =>
    moveJob(uuid, 'running', 'finish', {
      at: LATER,
      result: { ...EMPTY_RESULT, seconds: 1, stdout: 'a\0b', stderr: '', score, rightAnswer: true },
    })
  const run = async (uuid: string) => {
    await moveJob(uuid, 'offered', 'accept')
    await moveJob(uuid, 'accepted', 'ready')
    await moveJob(uuid, 'ready', 'work')
  }

  it('moves a job forward only, and each move once', async () => {
    const job = newJob()
    await newBatch(1, [job])
    expect(await planJob(job.uuid, { executorClass: 'always_on.test', image: 'image' })).toBe(true)
    expect(await moveJob(job.uuid, 'accepted', 'ready')).toBe(false)
    expect(await moveJob(job.uuid, 'offered', 'accept')).toBe(true)
    expect(await moveJob(job.uuid, 'offered', 'accept')).toBe(false)
    await run(job.uuid)
    const ends = await Promise.all([finish(job.uuid, 1), finish(job.uuid, 2), finish(job.uuid, 2)])
    expect(ends.filter(Boolean)).toHaveLength(1)
    expect(await moveJob(job.uuid, 'running', 'stopped')).toBe(false)
    expect(await jobOf(job.uuid)).toMatchObject({
      ...{ state: 'finished', acceptedAt: START, readyAt: START, runningAt: START, endedAt: LATER },
      ...{ executorClass: 'always_on.test', image: 'image', stdout: 'a\ufffdb' },
    })
  })

  it('closes a batch, abandons its open jobs, and sums scores by miner', async () => {
    const [a, b, c] = [newJob('bob'), newJob('bob'), newJob('charlie')]
    const id = await newBatch(2, [a, b, c])
    for (const [job, score] of [
      [a, 1.5],
      [b, 0.25],
    ] as const) {
      await run(job.uuid)
      await finish(job.uuid, score)
    }
    expect(await unscoredBatches(db, 2)).toEqual([])
    await close(id, true)
    expect(await unscoredBatches(db, 2)).toEqual([id])
    expect(await jobOf(c.uuid)).toMatchObject({ state: 'broken', reason: 'abandoned', score: null, endedAt: LATER })
    expect(await classTotalsOf(db, [id])).toMatchObject([
      { hotkey: 'bob', jobs: 2, excused: 0, sum: 1.75 },
      { hotkey: 'charlie', jobs: 1, excused: 1, sum: 0 },
    ])
    expect(await lastBatchStart(db, 2)).toEqual(START)
    expect(await lastBatchStart(db, 77)).toBeUndefined()
  })

  it('does not score a batch that a stop interrupted', async () => {
    const id = await newBatch(3)
    await close(id, false)
    expect(await unscoredBatches(db, 3)).toEqual([])
  })

  it('ignores trials and interrupted batches when it looks for the last start', async () => {
    const id = await newBatch(8)
    await close(id, false)
    expect(await lastBatchStart(db, 8)).toBeUndefined()
  })

  it('adds jobs once when the first insert is repeated', async () => {
    const id = await newBatch(9, [])
    const job = newJob()
    const where = { batchId: id, at: START }
    expect(await openJobs(db, [job], where)).toMatchObject({ opened: [{ uuid: job.uuid, state: 'offered' }], added: 1 })
    expect(await openJobs(db, [job], where)).toMatchObject({ opened: [{ uuid: job.uuid, state: 'offered' }], added: 0 })
    expect(await countJobs(db, id, 'bob')).toBe(1)
    expect(await countJobs(db, id, 'charlie')).toBe(0)
  })

  it('counts a repeated change as saved, and not the change of another process', async () => {
    const [mine, others] = [newJob(), newJob()]
    await newBatch(10, [mine, others])
    const changeOf = async (uuid: string, event: Move['event'], at: Date) => {
      const changes: JobChange[] = []
      const collect = async (change: JobChange) => changes.push(change) > 0
      await transition({ uuid, state: 'offered' }, { event, at }, { save: collect, log: silentLog })
      return changes[0] as JobChange
    }
    const accept = await changeOf(mine.uuid, 'accept', START)
    expect(await saveChanges(db, [accept])).toEqual(new Set([mine.uuid]))
    expect(await saveChanges(db, [accept], true)).toEqual(new Set([mine.uuid]))
    await moveJob(others.uuid, 'offered', 'stopped')
    const end = await changeOf(others.uuid, 'timed out', LATER)
    expect(await saveChanges(db, [end], true)).toEqual(new Set())
    expect(await saveChanges(db, [noteOf(others.uuid, { complaint: 'no' })], true)).toEqual(new Set())
  })

  it('saves the reports of several jobs with one statement, each as it is', async () => {
    const [long, odd, silent, ended] = [newJob(), newJob(), newJob(), newJob()]
    await newBatch(77, [long, odd, silent, ended])
    await moveJob(ended.uuid, 'offered', 'stopped')
    const reports = [`{"a":"${'é'.repeat(1_000_000)}"}`, '{"b":"\\u0000\\ud800\'"}', null, '{}'] as const
    const at = { state: 'broken', endedAt: LATER } as const
    const changes = [long, odd, silent, ended].map(({ uuid }, index) => ({
      ...{ uuid, from: ['offered'] as const, set: { ...at, report: reports[index] ?? null } },
    }))
    expect(await saveChanges(db, changes)).toEqual(new Set([long.uuid, odd.uuid, silent.uuid]))
    const stored = await Promise.all([long, odd, silent, ended].map(({ uuid }) => jobOf(uuid)))
    expect(stored.map(row => row?.report)).toEqual([reports[0], reports[1], null, null])
    expect(stored.map(row => row?.state)).toEqual(Array(4).fill('broken'))
  })

  it('ends orphaned batches and jobs, and no others', async () => {
    const [synthetic, organic] = [newJob(), newJob()]
    await newBatch(4, [synthetic])
    const openOrganic = () => openJobs(db, [organic], { batchId: null, at: START })
    expect((await openOrganic()).added).toBe(1)
    expect((await openOrganic()).added).toBe(0)
    const abandonOverdue = async (before: Date, now: Date) =>
      abandonJobs(db, await overdueOrganicJobs(db, before, now), now, silentLog)
    expect(await closeOverdueBatches(db, START, LATER, silentLog)).toBe(0)
    expect(await abandonOverdue(START, LATER)).toBe(0)
    const after = new Date(LATER.getTime() + 1)
    expect(await closeOverdueBatches(db, after, after, silentLog)).toBeGreaterThanOrEqual(1)
    expect(await abandonOverdue(after, after)).toBe(1)
    expect(await jobOf(synthetic.uuid)).toMatchObject({ state: 'broken', reason: 'abandoned', score: null })
    expect(await jobOf(organic.uuid)).toMatchObject({ state: 'broken', reason: 'abandoned', score: null })
    expect(await unscoredBatches(db, 4), 'what was measured counts').toHaveLength(1)
  })

  it('counts an orphaned batch whose jobs have all ended', async () => {
    const job = newJob()
    const id = await newBatch(6, [job])
    await run(job.uuid)
    await finish(job.uuid, 1)
    const after = new Date(LATER.getTime() + 1)
    expect(await closeOverdueBatches(db, after, after, silentLog)).toBe(0)
    expect(await unscoredBatches(db, 6)).toEqual([id])
  })

  it('marks batches as scored together with their weights, or not at all', async () => {
    const id = await newBatch(5)
    await close(id, true)
    const scores = [{ hotkey: 'bob', uid: 1, score: 2 }]
    const setting = {
      ...{ netuid: 5, hotkey: 'alice', basis: 'batches', batchIds: [id], scores, uids: [1], weights: [65_535] },
      ...{ versionKey: 2n ** 63n - 1n, plannedAt: LATER },
    }
    const refused = await planSetting(db, setting)
    await refuseSetting(db, refused, { at: LATER, why: 'NoValidatorPermit' })
    expect(await lastSettingScores(db, 5, 'alice')).toBeUndefined()
    expect(await unscoredBatches(db, 5)).toEqual([id])

    const set = await planSetting(db, setting)
    await settleSetting(db, set, { at: LATER, block: 7, blockHash: '0x07' })
    expect(await unscoredBatches(db, 5)).toEqual([])
    expect((await lastSettingScores(db, 5, 'alice'))?.scores).toEqual(scores)
    expect(await lastSettingScores(db, 5, 'bob')).toBeUndefined()
    const rows = await db.select().from(weightSettings).where(eq(weightSettings.netuid, 5)).orderBy(weightSettings.id)
    expect(rows.map(row => [row.state, row.refusal, row.block])).toEqual([
      ['refused', 'NoValidatorPermit', null],
      ['included', null, 7],
    ])
    const [scored] = await db.select().from(batches).where(eq(batches.id, id))
    expect(scored?.scoredAt).toEqual(LATER)
  })

  it('gives a lock to one caller at a time', async () => {
    const tryLock = oneAtATime(dialect, url, 'weights', silentLog)
    const other = dialect === 'postgres' ? oneAtATime(dialect, url, 'weights', silentLog) : tryLock
    const locks = await Promise.all([tryLock(), tryLock(), other(), other(), tryLock()])
    const [held, ...more] = locks.filter(lock => lock !== undefined)
    expect(held).toBeDefined()
    expect(more).toEqual([])
    await using elsewhere = await oneAtATime(dialect, url, 'something else', silentLog)()
    expect(elsewhere).toBeDefined()
    await held?.[Symbol.asyncDispose]()
    await using again = await other()
    expect(again).toBeDefined()
  })
})
