import { type Database, inTransaction } from '@horde/kit/database'
import { OPEN_STATES } from '@horde/protocol/job-state'
import { and, asc, desc, eq, inArray, isNotNull, isNull, lt, notExists } from 'drizzle-orm'
import { abandonJobs, type NewJob } from './jobs.ts'
import { batches, jobs } from './schema.ts'

export interface NewBatch {
  netuid: number
  benchmark: string
  startedAt: Date
  deadline: Date
  jobs: readonly NewJob[]
}

/** Opens a batch with all its jobs, offered; returns its id. */
export function openBatch(db: Database, batch: NewBatch): Promise<number> {
  const { jobs: newJobs, ...row } = batch
  return inTransaction(db, async tx => {
    const [opened] = await tx.insert(batches).values(row).returning({ id: batches.id })
    if (!opened) throw new Error('the database gave no id for a new batch')
    const rows = newJobs.map(job => ({
      ...job,
      batchId: opened.id,
      state: 'offered' as const,
      createdAt: row.startedAt,
    }))
    if (rows.length > 0) await tx.insert(jobs).values(rows)
    return opened.id
  })
}

/** Closes a batch, and with it what is still open in it; one that does not count is never scored. */
export function closeBatch(db: Database, id: number, at: Date, counts: boolean): Promise<void> {
  return inTransaction(db, async tx => {
    await tx
      .update(batches)
      .set({ closedAt: at, counts })
      .where(and(eq(batches.id, id), isNull(batches.closedAt)))
    await abandonJobs(tx, [id], at)
  })
}

/**
 * Closes the batches whose deadline lies before a moment: whoever ran them is gone. One with jobs that were still open does
 * not count, as one that was stopped. Returns how many jobs were still open.
 */
export function closeOverdueBatches(db: Database, deadlineBefore: Date, at: Date): Promise<number> {
  return inTransaction(db, async tx => {
    const isOpen = and(eq(jobs.batchId, batches.id), inArray(jobs.state, [...OPEN_STATES]))
    const closed = await tx
      .update(batches)
      .set({ closedAt: at, counts: notExists(tx.select({ uuid: jobs.uuid }).from(jobs).where(isOpen)) })
      .where(and(isNull(batches.closedAt), lt(batches.deadline, deadlineBefore)))
      .returning({ id: batches.id })
    const ids = closed.map(batch => batch.id)
    return abandonJobs(tx, ids, at)
  })
}

/** The ids of a subnet's closed batches that no weights were made of yet, oldest first. */
export async function unscoredBatches(db: Database, netuid: number): Promise<number[]> {
  const rows = await db
    .select({ id: batches.id })
    .from(batches)
    .where(
      and(eq(batches.netuid, netuid), eq(batches.counts, true), isNotNull(batches.closedAt), isNull(batches.scoredAt)),
    )
    .orderBy(asc(batches.id))
  return rows.map(row => row.id)
}

/** When a subnet's last batch started. */
export async function lastBatchStart(db: Database, netuid: number): Promise<Date | undefined> {
  const [row] = await db
    .select({ startedAt: batches.startedAt })
    .from(batches)
    .where(eq(batches.netuid, netuid))
    .orderBy(desc(batches.id))
    .limit(1)
  return row?.startedAt
}
