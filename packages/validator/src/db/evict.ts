/** Removes batches with their jobs, users' jobs, receipts and settings of weights that are old and not needed. */
import { type Database, inTransaction } from '@horde/kit/database'
import { FINAL_STATES, OPEN_STATES } from '@horde/protocol/job-state'
import { and, desc, eq, inArray, isNotNull, isNull, lt, notExists, or, sql } from 'drizzle-orm'
import { batches, jobs, receipts, userJobs, weightSettings } from './schema.ts'

/** How many rows one statement removes. It must be short: other statements wait for its locks. */
const ROWS_AT_ONCE = 500

/** How long rows are kept after their end, in ms. */
export type Retention = { batchesKeptMs: number; settingsKeptMs: number; receiptsKeptMs: number }

export type Evicted = { batches: number; jobs: number; userJobs: number; settings: number; receipts: number }

/**
 * Removes old rows in short transactions. Stops between two of them when `signal` is aborted. Keeps a batch that is
 * open, that is not scored yet, or that a pending setting was made of; open jobs; pending settings; and each hotkey's
 * last included setting.
 */
export async function evictOld(
  db: Database,
  { batchesKeptMs, settingsKeptMs, receiptsKeptMs }: Retention,
  now: Date,
  signal: AbortSignal,
): Promise<Evicted> {
  const before = new Date(now.getTime() - batchesKeptMs)
  const evicted = { batches: 0, jobs: 0, userJobs: 0, settings: 0, receipts: 0 }
  for (;;) {
    const batch = signal.aborted ? undefined : await nextOldBatch(db, before)
    if (batch === undefined) break
    evicted.jobs += await untilNone(signal, () => removeJobs(db, eq(jobs.batchId, batch)))
    // A batch whose rows another transaction holds is removed the next time.
    if (signal.aborted || (await removeBatch(db, batch)) === 0) break
    evicted.batches += 1
  }
  const organic = and(isNull(jobs.batchId), lt(jobs.endedAt, before))
  evicted.jobs += await untilNone(signal, () => removeJobs(db, organic))
  evicted.userJobs = await untilNone(signal, () => removeUserJobs(db, before))
  const settingsBefore = new Date(now.getTime() - settingsKeptMs)
  evicted.settings = await untilNone(signal, () => removeSettings(db, settingsBefore))
  const receiptsBefore = new Date(now.getTime() - receiptsKeptMs)
  evicted.receipts = await untilNone(signal, () => removeReceipts(db, receiptsBefore))
  return evicted
}

async function removeReceipts(db: Database, before: Date): Promise<number> {
  const key = sql`(${receipts.jobUuid}, ${receipts.type})`
  const some = db
    .select({ jobUuid: receipts.jobUuid, type: receipts.type })
    .from(receipts)
    .where(lt(receipts.createdAt, before))
    .orderBy(receipts.createdAt)
    .limit(ROWS_AT_ONCE)
    .for('update', { skipLocked: true })
  const removed = await db.delete(receipts).where(sql`${key} in (${some})`).returning({ jobUuid: receipts.jobUuid })
  return removed.length
}

async function untilNone(signal: AbortSignal, remove: () => Promise<number>): Promise<number> {
  let all = 0
  for (let rows = ROWS_AT_ONCE; rows === ROWS_AT_ONCE && !signal.aborted; all += rows) rows = await remove()
  return all
}

async function nextOldBatch(db: Database, before: Date): Promise<number | undefined> {
  const openJob = db
    .select({ uuid: jobs.uuid })
    .from(jobs)
    .where(and(eq(jobs.batchId, batches.id), inArray(jobs.state, [...OPEN_STATES])))
  const underWay = db
    .select({ id: weightSettings.id })
    .from(weightSettings)
    .where(
      and(
        inArray(weightSettings.state, ['planned', 'committed']),
        sql`${batches.id} = any(${weightSettings.batchIds})`,
      ),
    )
  const isOver = or(eq(batches.counts, false), isNotNull(batches.scoredAt))
  const [row] = await db
    .select({ id: batches.id })
    .from(batches)
    .where(and(lt(batches.closedAt, before), isOver, notExists(openJob), notExists(underWay)))
    .orderBy(batches.id)
    .limit(1)
  return row?.id
}

async function removeJobs(db: Database, which: ReturnType<typeof and>): Promise<number> {
  const some = db
    .select({ uuid: jobs.uuid })
    .from(jobs)
    .where(and(which, inArray(jobs.state, [...FINAL_STATES])))
    .orderBy(jobs.uuid)
    .limit(ROWS_AT_ONCE)
    .for('update', { skipLocked: true })
  const removed = await db.delete(jobs).where(inArray(jobs.uuid, some)).returning({ uuid: jobs.uuid })
  return removed.length
}

/** A job's tries ended before it did. */
async function removeUserJobs(db: Database, before: Date): Promise<number> {
  const some = db
    .select({ uuid: userJobs.uuid })
    .from(userJobs)
    .where(lt(userJobs.endedAt, before))
    .orderBy(userJobs.uuid)
    .limit(ROWS_AT_ONCE)
    .for('update', { skipLocked: true })
  const removed = await db.delete(userJobs).where(inArray(userJobs.uuid, some)).returning({ uuid: userJobs.uuid })
  return removed.length
}

/** Locks the batch before it looks at its jobs, in the same order as closing a batch does. */
function removeBatch(db: Database, id: number): Promise<number> {
  return inTransaction(db, async tx => {
    await tx.select({ id: batches.id }).from(batches).where(eq(batches.id, id)).for('update')
    const left = tx.select({ uuid: jobs.uuid }).from(jobs).where(eq(jobs.batchId, id))
    const removed = await tx
      .delete(batches)
      .where(and(eq(batches.id, id), notExists(left)))
      .returning({ id: batches.id })
    return removed.length
  })
}

async function removeSettings(db: Database, before: Date): Promise<number> {
  const last = db
    .selectDistinctOn([weightSettings.netuid, weightSettings.hotkey], { id: weightSettings.id })
    .from(weightSettings)
    .where(eq(weightSettings.state, 'included'))
    .orderBy(weightSettings.netuid, weightSettings.hotkey, desc(weightSettings.id))
  const some = db
    .select({ id: weightSettings.id })
    .from(weightSettings)
    .where(
      and(
        inArray(weightSettings.state, ['included', 'refused']),
        lt(weightSettings.endedAt, before),
        sql`${weightSettings.id} not in (${last})`,
      ),
    )
    .orderBy(weightSettings.id)
    .limit(ROWS_AT_ONCE)
    .for('update', { skipLocked: true })
  const removed = await db
    .delete(weightSettings)
    .where(inArray(weightSettings.id, some))
    .returning({ id: weightSettings.id })
  return removed.length
}
