import type { Database } from '@horde/kit/database'
import { OPEN_STATES } from '@horde/protocol/job-state'
import { and, asc, desc, eq, gte, inArray, isNull, lt } from 'drizzle-orm'
import type { StoredJob } from './jobs.ts'
import type { ScoringName } from './json-columns.ts'
import { batches, jobs } from './schema.ts'
import { batchesToScore } from './scores.ts'

type BatchRow = typeof batches.$inferSelect

export interface NewBatch {
  netuid: number
  benchmark: string
  startedAt: Date
  deadline: Date
  /** Default: 2024. */
  scoring?: ScoringName
  /** False for a trial that is never scored. Default: true. */
  counts?: boolean
}

/** A batch that is not closed yet, with its open jobs. */
export interface OpenBatch {
  batch: BatchRow
  openJobs: readonly StoredJob[]
}

export async function insertBatch(db: Database, batch: NewBatch): Promise<BatchRow> {
  const [row] = await db.insert(batches).values(batch).returning()
  if (!row) throw new Error('the database returned no row for a new batch')
  return row
}

/** Returns how many jobs of a batch a miner has, ended ones too. */
export function countJobs(db: Database, batchId: number, minerHotkey: string): Promise<number> {
  return db.$count(jobs, and(eq(jobs.batchId, batchId), eq(jobs.minerHotkey, minerHotkey)))
}

/** Marks a batch as closed. */
export async function closeBatchRow(db: Database, id: number, at: Date, counts: boolean): Promise<void> {
  await db
    .update(batches)
    .set({ closedAt: at, ...(counts ? {} : { counts }) })
    .where(and(eq(batches.id, id), isNull(batches.closedAt)))
}

/** Marks the batches as closed whose deadline lies before a moment. Returns their ids. */
export async function closeOverdueRows(db: Database, deadlineBefore: Date, at: Date): Promise<number[]> {
  const closed = await db
    .update(batches)
    .set({ closedAt: at })
    .where(and(isNull(batches.closedAt), lt(batches.deadline, deadlineBefore)))
    .returning({ id: batches.id })
  return closed.map(({ id }) => id)
}

/** Returns a subnet's open batches that count and whose deadline lies after a moment, oldest first. */
export async function openBatches(db: Database, netuid: number, deadlineAfter: Date): Promise<OpenBatch[]> {
  const open = await db
    .select()
    .from(batches)
    .where(
      and(
        eq(batches.netuid, netuid),
        isNull(batches.closedAt),
        eq(batches.counts, true),
        gte(batches.deadline, deadlineAfter),
      ),
    )
    .orderBy(asc(batches.id))
  const openOf = (id: number) => and(eq(jobs.batchId, id), inArray(jobs.state, [...OPEN_STATES]))
  return Promise.all(
    open.map(async batch => ({ batch, openJobs: await db.select().from(jobs).where(openOf(batch.id)) })),
  )
}

/** Returns the ids of a subnet's closed batches that no weights were made of yet, oldest first. */
export async function unscoredBatches(db: Database, netuid: number): Promise<number[]> {
  return (await batchesToScore(db, netuid)).map(({ id }) => id)
}

/** Returns when a subnet's last batch started, not counting trials. */
export async function lastBatchStart(db: Database, netuid: number): Promise<Date | undefined> {
  const [row] = await db
    .select({ startedAt: batches.startedAt })
    .from(batches)
    .where(and(eq(batches.netuid, netuid), eq(batches.counts, true)))
    .orderBy(desc(batches.id))
    .limit(1)
  return row?.startedAt
}
