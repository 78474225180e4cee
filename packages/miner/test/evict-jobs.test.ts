import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { type Database, type OpenDatabase, openDatabase } from '@horde/kit/database'
import type { JobState } from '@horde/protocol/job-state'
import { startPostgres } from '@horde/testing/postgres'
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { evictOldJobs } from '../src/db/evict-jobs.ts'
import { type JobResult, jobs } from '../src/db/schema.ts'

const migrationsFolder = fileURLToPath(new URL('../drizzle', import.meta.url))
const NOW = new Date('2026-03-01T00:00:00Z')
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const KEEP = { jobsKeptMs: 30 * DAY_MS, resultsKeptMs: 7 * DAY_MS, deliveredKeptMs: DAY_MS }

const ENGINES = {
  pglite: async () => ({ url: 'pglite://memory', [Symbol.asyncDispose]: async () => {} }),
  postgres: startPostgres,
}

type Stored = { state: JobState; endedDaysAgo?: number; deliveredDaysAgo?: number; result?: JobResult }

describe.each(Object.entries(ENGINES))('retention on %s', (_engine, start) => {
  let stack: AsyncDisposableStack
  let database: OpenDatabase
  let db: Database
  beforeAll(async () => {
    stack = new AsyncDisposableStack()
    const { url } = stack.use(await start())
    database = stack.use(await openDatabase({ url, migrationsFolder }))
    db = database.db
  })
  afterAll(() => stack.disposeAsync())
  beforeEach(async () => void (await db.delete(jobs)))

  const ago = (days: number | undefined) => (days === undefined ? null : new Date(NOW.getTime() - days * DAY_MS))
  const row = ({ state, endedDaysAgo, deliveredDaysAgo, result }: Stored) => {
    const uuid = randomUUID()
    return {
      ...{ validator: '5V', uuid, uuidKey: uuid, executorClass: 'always_on.test', volumeType: 'inline' },
      ...{ executorToken: '', state, offeredAt: new Date(0), result: result ?? null },
      ...{ endedAt: ago(endedDaysAgo), deliveredAt: ago(deliveredDaysAgo) },
    }
  }
  const store = async (stored: Stored): Promise<number> => {
    const [made] = await db.insert(jobs).values(row(stored)).returning({ id: jobs.id })
    return made?.id ?? 0
  }
  const evict = (keep = KEEP, signal = new AbortController().signal) => evictOldJobs(db, keep, NOW, signal)

  it.each<[string, Stored, boolean]>([
    ['an open job, however old', { state: 'running' }, true],
    ['a delivered end within its days', { state: 'finished', endedDaysAgo: 29, deliveredDaysAgo: 29 }, true],
    ['a delivered end beyond them', { state: 'finished', endedDaysAgo: 31, deliveredDaysAgo: 1 }, false],
    ['an end that was never delivered, within them', { state: 'broken', endedDaysAgo: 29 }, true],
    ['the same, beyond them', { state: 'broken', endedDaysAgo: 31 }, false],
    ['an offer declined today', { state: 'rejected', endedDaysAgo: 0.9 }, true],
    ['one declined yesterday', { state: 'rejected', endedDaysAgo: 1.1 }, false],
  ])('%s', async (_name, stored, stays) => {
    const id = await store(stored)
    expect(await evict()).toEqual({ jobs: stays ? 0 : 1, outputs: 0 })
    expect(await db.$count(jobs, eq(jobs.id, id))).toBe(stays ? 1 : 0)
  })

  it('what is due stays, even where jobs are kept for a shorter time', async () => {
    const keep = { ...KEEP, jobsKeptMs: DAY_MS }
    await store({ state: 'finished', endedDaysAgo: 6 })
    await store({ state: 'finished', endedDaysAgo: 6, deliveredDaysAgo: 6 })
    await store({ state: 'finished', endedDaysAgo: 8 })
    expect(await evict(keep)).toMatchObject({ jobs: 2 })
    expect(await db.select({ at: jobs.deliveredAt }).from(jobs)).toEqual([{ at: null }])
  })

  it('outputs that nobody waits for are cut to their ends, whatever they are made of; others stay whole', async () => {
    const long = {
      exitStatus: 3,
      stdout: `first ${'\u0000\ud800"\\é'.repeat(20_000)} last`,
      stderr: 'x'.repeat(900_000),
    }
    const due = await store({ state: 'failed', endedDaysAgo: 6, result: long })
    const fresh = await store({ state: 'failed', endedDaysAgo: 6, deliveredDaysAgo: 0.9, result: long })
    const delivered = await store({ state: 'failed', endedDaysAgo: 6, deliveredDaysAgo: 1.1, result: long })
    const late = await store({ state: 'failed', endedDaysAgo: 8, result: long })
    expect(await evict()).toEqual({ jobs: 0, outputs: 2 })
    expect(await evict(), 'they are cut once').toEqual({ jobs: 0, outputs: 0 })
    const kept = new Map((await db.select().from(jobs)).map(({ id, result }) => [id, result]))
    expect([kept.get(due), kept.get(fresh)]).toEqual([long, long])
    for (const id of [delivered, late]) {
      expect(kept.get(id)?.exitStatus).toBe(3)
      expect(kept.get(id)?.stdout).toMatch(/^first .+ characters cut .+ last$/s)
      expect(JSON.stringify(kept.get(id)).length).toBeLessThan(16_000)
    }
  })

  it('many rows and outputs go, batch by batch', async () => {
    const old = { state: 'finished', endedDaysAgo: 40, deliveredDaysAgo: 40 } as const
    await db.insert(jobs).values(Array.from({ length: 1_203 }, () => row(old)))
    const result = { exitStatus: 0, stdout: 'x'.repeat(20_000), stderr: '' }
    const cut = { state: 'finished', endedDaysAgo: 9, deliveredDaysAgo: 9, result } as const
    await db.insert(jobs).values(Array.from({ length: 25 }, () => row(cut)))
    expect(await evict()).toEqual({ jobs: 1_203, outputs: 25 })
    expect(await db.$count(jobs)).toBe(25)
  })

  it('a miner that stops need not wait for the end of it', async () => {
    await store({ state: 'finished', endedDaysAgo: 40, deliveredDaysAgo: 40 })
    expect(await evict(KEEP, AbortSignal.abort())).toEqual({ jobs: 0, outputs: 0 })
  })
})
