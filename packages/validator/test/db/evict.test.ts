import { randomUUID } from 'node:crypto'
import type { Database, OpenDatabase } from '@horde/kit/database'
import type { JobState } from '@horde/protocol/job-state'
import { asc } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { evictOld } from '../../src/db/evict.ts'
import { addReceipts } from '../../src/db/jobs.ts'
import { batches, jobs, receipts, type SettingState, userJobs, weightSettings } from '../../src/db/schema.ts'
import { openTestDatabase, withPostgres } from './databases.ts'

const postgres = withPostgres()
const NOW = new Date('2026-03-01T00:00:00Z')
const DAY_MS = 86_400_000
const KEEP = { batchesKeptMs: 30 * DAY_MS, settingsKeptMs: 365 * DAY_MS, receiptsKeptMs: 7 * DAY_MS }
const NOTHING = { batches: 0, jobs: 0, userJobs: 0, settings: 0, receipts: 0 }

const engines = [
  ['pglite', async () => 'pglite://memory'],
  ['postgres', () => postgres().newDatabase()],
] as const

const ago = (days: number) => new Date(NOW.getTime() - days * DAY_MS)

describe.each(engines)('retention on %s', (_dialect, newUrl) => {
  let database: OpenDatabase
  let db: Database
  beforeAll(async () => {
    database = await openTestDatabase(await newUrl())
    db = database.db
  })
  afterAll(() => database[Symbol.asyncDispose]())
  beforeEach(async () => {
    await db.delete(jobs)
    await db.delete(batches)
    await db.delete(weightSettings)
  })

  const jobRow = (batchId: number | null, state: JobState, endedDaysAgo: number | null) => ({
    ...{ uuid: randomUUID(), batchId, minerHotkey: 'bob', minerUid: 1, minerAddress: '127.0.0.2:1', state },
    ...{ createdAt: ago(99), endedAt: endedDaysAgo === null ? null : ago(endedDaysAgo) },
  })
  type Stored = { closed?: number; scored?: boolean; counts?: boolean; jobs?: JobState[] }
  const storeBatch = async ({ closed, scored = true, counts = true, jobs: states = ['finished'] }: Stored) => {
    const [row] = await db
      .insert(batches)
      .values({
        ...{ netuid: 1, benchmark: 'sha256', startedAt: ago(99), deadline: ago(99), counts },
        ...{ closedAt: closed === undefined ? null : ago(closed), scoredAt: scored ? ago(98) : null },
      })
      .returning({ id: batches.id })
    const id = row?.id ?? 0
    if (states.length > 0) await db.insert(jobs).values(states.map(state => jobRow(id, state, 99)))
    return id
  }
  const storeSetting = async (
    state: SettingState,
    endedDaysAgo: number | null,
    batchIds: number[] = [],
    hotkey = 'a',
  ) => {
    const [row] = await db
      .insert(weightSettings)
      .values({
        ...{ netuid: 1, hotkey, state, basis: 'batches', batchIds, scores: [], uids: [1], weights: [65_535] },
        ...{ versionKey: 2n, plannedAt: ago(999), endedAt: endedDaysAgo === null ? null : ago(endedDaysAgo) },
      })
      .returning({ id: weightSettings.id })
    return row?.id ?? 0
  }
  const evict = (signal = new AbortController().signal) => evictOld(db, KEEP, NOW, signal)

  it.each<[string, Stored, boolean]>([
    ['a scored batch within its retention', { closed: 29 }, true],
    ['a scored batch beyond its retention', { closed: 31 }, false],
    ['a batch that does not count, beyond its retention', { closed: 31, scored: false, counts: false }, false],
    ['an unscored batch of any age', { closed: 900, scored: false }, true],
    ['an open batch of any age', {}, true],
    ['a batch with an open job', { closed: 31, jobs: ['finished', 'running'] }, true],
    ['a batch without jobs', { closed: 31, jobs: [] }, false],
  ])('%s', async (_name, stored, stays) => {
    await storeBatch(stored)
    const count = stored.jobs?.length ?? 1
    expect(await evict()).toEqual(stays ? NOTHING : { ...NOTHING, batches: 1, jobs: count })
    expect([await db.$count(batches), await db.$count(jobs)]).toEqual(stays ? [1, count] : [0, 0])
  })

  it.each<SettingState>(['planned', 'committed'])(
    'what a %s setting is made of stays, until it has ended',
    async state => {
      const [needed] = [await storeBatch({ closed: 31 }), await storeBatch({ closed: 31 })]
      await storeSetting(state, null, [needed])
      expect(await evict()).toEqual({ ...NOTHING, batches: 1, jobs: 1 })
      expect(await db.select({ id: batches.id }).from(batches)).toEqual([{ id: needed }])
      await db.update(weightSettings).set({ state: 'included', endedAt: ago(1) })
      expect(await evict()).toEqual({ ...NOTHING, batches: 1, jobs: 1 })
    },
  )

  it("removes users' jobs that ended long ago", async () => {
    await db
      .insert(jobs)
      .values([jobRow(null, 'finished', 31), jobRow(null, 'broken', 29), jobRow(null, 'running', null)])
    expect(await evict()).toEqual({ ...NOTHING, jobs: 1 })
    expect(
      (await db.select({ state: jobs.state }).from(jobs).orderBy(asc(jobs.state))).map(({ state }) => state),
    ).toEqual([...['broken', 'running']])
  })

  it("removes users' jobs of v2026 that ended long ago, with their tries", async () => {
    const [old, recent, open] = [randomUUID(), randomUUID(), randomUUID()]
    const row = { request: '{}', signatory: 'alice', createdAt: ago(99) }
    await db.insert(userJobs).values([
      { ...row, uuid: old, endedAt: ago(31) },
      { ...row, uuid: recent, endedAt: ago(29) },
      { ...row, uuid: open },
    ])
    await db.insert(jobs).values({ ...jobRow(null, 'finished', 31), userJob: old })
    expect(await evict()).toEqual({ ...NOTHING, jobs: 1, userJobs: 1 })
    expect(await db.$count(userJobs)).toBe(2)
    await db.delete(userJobs)
  })

  it('removes settings that ended long ago, but not pending ones and the last included one', async () => {
    const old = [await storeSetting('included', 900), await storeSetting('refused', 400)]
    const kept = [
      await storeSetting('included', 800),
      await storeSetting('committed', null),
      await storeSetting('planned', null),
      await storeSetting('refused', 364),
      await storeSetting('included', 900, [], 'b'),
    ]
    expect(await evict()).toEqual({ ...NOTHING, settings: old.length })
    const rest = await db.select({ id: weightSettings.id }).from(weightSettings).orderBy(asc(weightSettings.id))
    expect(rest.map(({ id }) => id)).toEqual(kept)
  })

  it('removes receipts that are old, and keeps one of each type of a job', async () => {
    const receipt = (type: string, days: number, jobUuid: string = randomUUID()) => {
      return { jobUuid, type, payload: { ttl: 7 }, signature: '0x', createdAt: ago(days) }
    }
    const job = randomUUID()
    await addReceipts(db, [receipt('JobStartedReceipt', 6, job), receipt('JobFinishedReceipt', 8)])
    await addReceipts(db, [receipt('JobFinishedReceipt', 6, job), receipt('JobStartedReceipt', 8, job.toUpperCase())])
    expect(await evict()).toEqual({ ...NOTHING, receipts: 1 })
    const rest = await db.select().from(receipts).orderBy(asc(receipts.type))
    expect(rest.map(({ jobUuid, type, createdAt }) => [jobUuid, type, createdAt])).toEqual([
      [job, 'JobFinishedReceipt', ago(6)],
      [job, 'JobStartedReceipt', ago(6)],
    ])
  })

  it('removes many rows in pieces, and stops between two of them', async () => {
    const id = await storeBatch({ closed: 31, jobs: [] })
    await db.insert(jobs).values(Array.from({ length: 1_203 }, () => jobRow(id, 'finished', 31)))
    expect(await evict(AbortSignal.abort())).toEqual(NOTHING)
    expect(await evict()).toEqual({ ...NOTHING, batches: 1, jobs: 1_203 })
  })
})

it('skips a batch with a locked job until the next run', async () => {
  await using database = await openTestDatabase(await postgres().newDatabase())
  const { db } = database
  const [batch] = await db
    .insert(batches)
    .values({ netuid: 1, benchmark: 'x', startedAt: ago(99), deadline: ago(99), closedAt: ago(99), scoredAt: ago(99) })
    .returning({ id: batches.id })
  const row = { minerHotkey: 'bob', minerUid: 1, minerAddress: 'x', state: 'finished', createdAt: ago(99) } as const
  await db.insert(jobs).values({ ...row, uuid: randomUUID(), batchId: batch?.id ?? 0, endedAt: ago(99) })
  const { signal } = new AbortController()
  await db.transaction(async tx => {
    await tx.select().from(jobs).for('update')
    expect(await evictOld(db, KEEP, NOW, signal)).toEqual(NOTHING)
  })
  expect(await evictOld(db, KEEP, NOW, signal)).toEqual({ ...NOTHING, batches: 1, jobs: 1 })
})
