/** Removes jobs that ended long ago, and cuts outputs that no validator waits for any more. */
import type { Database } from '@horde/kit/database'
import { FINAL_STATES } from '@horde/protocol/job-state'
import { shorten } from '@horde/protocol/shorten'
import { and, eq, inArray, isNotNull, lt, or, sql } from 'drizzle-orm'
import { jobs } from './schema.ts'

/** Rows that one statement removes: it must be short, because other statements wait for its locks. */
const ROWS_AT_ONCE = 500
/** Outputs that are read and cut at once: each may have two million characters. */
const OUTPUTS_AT_ONCE = 10
/**
 * How much of each text is kept, in characters, and the stored length in bytes beyond which an output is still uncut.
 */
const KEPT_CHARACTERS = 1_000
const WHOLE_BYTES = 16_384
/** How long declined offers are kept, in milliseconds: they are many and never ran. */
const DECLINED_KEPT_MS = 86_400_000

/** All in milliseconds since the end of a job, or since its delivery. */
export type Retention = {
  /** How long ended jobs are kept, apart from those that are undelivered. */
  jobsKeptMs: number
  /** How long an undelivered result is kept complete, even if the other times are shorter. */
  resultsKeptMs: number
  /** How long an output stays uncut after its delivery. */
  deliveredKeptMs: number
}

export type Evicted = { jobs: number; outputs: number }

/** Works in batches, each its own transaction. Aborting `signal` ends it after the current batch. */
export async function evictOldJobs(
  db: Database,
  retention: Retention,
  now: Date,
  signal: AbortSignal,
): Promise<Evicted> {
  const evicted = { jobs: 0, outputs: 0 }
  for (let rows = ROWS_AT_ONCE; rows === ROWS_AT_ONCE && !signal.aborted; evicted.jobs += rows) {
    rows = await removeSome(db, retention, now)
  }
  for (let rows = OUTPUTS_AT_ONCE; rows === OUTPUTS_AT_ONCE && !signal.aborted; evicted.outputs += rows) {
    rows = await cutSome(db, retention, now)
  }
  return evicted
}

async function removeSome(db: Database, { jobsKeptMs, resultsKeptMs }: Retention, now: Date): Promise<number> {
  const isSettled = or(isNotNull(jobs.deliveredAt), lt(jobs.endedAt, before(now, resultsKeptMs)))
  const old = db
    .select({ id: jobs.id })
    .from(jobs)
    .where(
      and(
        inArray(jobs.state, FINAL_STATES),
        or(
          and(eq(jobs.state, 'rejected'), lt(jobs.endedAt, before(now, Math.min(DECLINED_KEPT_MS, jobsKeptMs)))),
          and(lt(jobs.endedAt, before(now, jobsKeptMs)), isSettled),
        ),
      ),
    )
    .orderBy(jobs.id)
    .limit(ROWS_AT_ONCE)
    .for('update', { skipLocked: true })
  const removed = await db.delete(jobs).where(inArray(jobs.id, old)).returning({ id: jobs.id })
  return removed.length
}

async function cutSome(db: Database, { resultsKeptMs, deliveredKeptMs }: Retention, now: Date): Promise<number> {
  const whole = await db
    .select({ id: jobs.id, result: jobs.result })
    .from(jobs)
    .where(
      and(
        inArray(jobs.state, FINAL_STATES),
        or(lt(jobs.deliveredAt, before(now, deliveredKeptMs)), lt(jobs.endedAt, before(now, resultsKeptMs))),
        // Postgres' json operators fail on the NUL characters that a job may print; a cast to text does not.
        sql`octet_length(${jobs.result}::text) > ${WHOLE_BYTES}`,
      ),
    )
    .orderBy(jobs.id)
    .limit(OUTPUTS_AT_ONCE)
  for (const { id, result } of whole) {
    if (result === null) continue
    // What came back with the output is dropped: half a file is of no use.
    const { extras: _, stdout, stderr, ...rest } = result
    const cut = { ...rest, stdout: shorten(stdout, KEPT_CHARACTERS), stderr: shorten(stderr, KEPT_CHARACTERS) }
    await db.update(jobs).set({ result: cut }).where(eq(jobs.id, id))
  }
  return whole.length
}

function before(now: Date, ms: number): Date {
  return new Date(now.getTime() - ms)
}
