import { type Database, inTransaction } from '@horde/kit/database'
import { FIRST_STATE, OPEN_STATES } from '@horde/protocol/job-state'
import { and, asc, desc, eq, gte, inArray, isNull, lt } from 'drizzle-orm'
import { abandonJobs, type NewJob } from './jobs.ts'
import { batches, jobs, type ScoringName } from './schema.ts'
import { batchesToScore } from './scores.ts'

export interface NewBatch {
  netuid: number
  benchmark: string
  startedAt: Date
  deadline: Date
  /** Default: 2024. */
  scoring?: ScoringName
  /** False for a trial that is never scored. Default: true. */
  counts?: boolean
  jobs: readonly NewJob[]
}

/** Opens a batch with all its jobs, offered; returns its id. */
export function openBatch(db: Database, batch: NewBatch): Promise<number> {
  const { jobs: newJobs, ...row } = batch
  return inTransaction(db, async tx => {
    const [opened] = await tx.insert(batches).values(row).returning({ id: batches.id })
    if (!opened) throw new Error('the database gave no id for a new batch')
    await addJobs(tx, opened.id, newJobs, row.startedAt)
    return opened.id
  })
}

/** Adds jobs to a batch, offered. Those that are there already stay as they are. */
export async function addJobs(db: Database, batchId: number, newJobs: readonly NewJob[], at: Date): Promise<void> {
  const rows = newJobs.map(job => ({ ...job, batchId, state: FIRST_STATE, createdAt: at }))
  if (rows.length > 0) await db.insert(jobs).values(rows).onConflictDoNothing()
}

/** How many jobs of a batch are a miner's, ended ones too. */
export function countJobs(db: Database, batchId: number, minerHotkey: string): Promise<number> {
  return db.$count(jobs, and(eq(jobs.batchId, batchId), eq(jobs.minerHotkey, minerHotkey)))
}

/** Closes a batch, and with it what is still open in it. With `counts` false it is never scored. */
export function closeBatch(db: Database, id: number, at: Date, counts: boolean): Promise<void> {
  return inTransaction(db, async tx => {
    await tx
      .update(batches)
      .set({ closedAt: at, ...(counts ? {} : { counts }) })
      .where(and(eq(batches.id, id), isNull(batches.closedAt)))
    await abandonJobs(tx, [id], at)
  })
}

/**
 * Closes the batches whose deadline lies before a moment: whoever ran them is gone. What was measured counts; what was
 * still open is excused. Returns how many jobs that were.
 */
export function closeOverdueBatches(db: Database, deadlineBefore: Date, at: Date): Promise<number> {
  return inTransaction(db, async tx => {
    const closed = await tx
      .update(batches)
      .set({ closedAt: at })
      .where(and(isNull(batches.closedAt), lt(batches.deadline, deadlineBefore)))
      .returning({ id: batches.id })
    const ids = closed.map(batch => batch.id)
    return abandonJobs(tx, ids, at)
  })
}

/** A batch that was begun and not closed, with its open jobs. */
export interface OpenBatch {
  batch: typeof batches.$inferSelect
  openJobs: (typeof jobs.$inferSelect)[]
}

/** A subnet's open batches that count, whose deadline lies after a moment: oldest first. */
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

/** The ids of a subnet's closed batches that no weights were made of yet, oldest first. */
export async function unscoredBatches(db: Database, netuid: number): Promise<number[]> {
  return (await batchesToScore(db, netuid)).map(({ id }) => id)
}

/** When a subnet's last batch started, trials left out. */
export async function lastBatchStart(db: Database, netuid: number): Promise<Date | undefined> {
  const [row] = await db
    .select({ startedAt: batches.startedAt })
    .from(batches)
    .where(and(eq(batches.netuid, netuid), eq(batches.counts, true)))
    .orderBy(desc(batches.id))
    .limit(1)
  return row?.startedAt
}
