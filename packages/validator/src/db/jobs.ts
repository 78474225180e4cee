import type { Database } from '@horde/kit/database'
import { isFinal, type JobEvent, type JobState, OPEN_STATES, statesBefore } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import { shorten } from '@horde/protocol/shorten'
import { and, eq, inArray, isNull, lt, sql } from 'drizzle-orm'
import { jobs } from './schema.ts'

/** How much of each of a miner's texts is kept, in characters. */
const MAX_KEPT_CHARACTERS = 10_000
/** One more than the largest number of a Postgres integer. */
const INTEGER_END = 2 ** 31

export type NewJob = Pick<typeof jobs.$inferInsert, 'uuid' | 'minerHotkey' | 'minerUid' | 'minerAddress'>

/** What is known of a job once it has ended. Scores are null for organic jobs. */
export interface JobResult {
  reason: Reason | null
  /** From the work's handing to the kernel to the result's frame. */
  seconds: number | null
  exitStatus: number | null
  stdout: string | null
  stderr: string | null
  score: number | null
  rightAnswer: boolean | null
}

export interface JobMove {
  event: JobEvent
  to: JobState
  at: Date
  /** Given with a final state. */
  result?: JobResult
}

/** Opens an organic job; false when its uuid is known already. */
export async function insertOrganicJob(db: Database, job: NewJob, at: Date): Promise<boolean> {
  const rows = await db
    .insert(jobs)
    .values({ ...job, state: 'offered', createdAt: at })
    .onConflictDoNothing()
    .returning({ uuid: jobs.uuid })
  return rows.length > 0
}

/** Notes what is about to be offered; false when somebody else has ended the job. */
export async function planJob(
  db: Database,
  uuid: string,
  plan: { executorClass: string | null; image: string | null },
): Promise<boolean> {
  const rows = await db
    .update(jobs)
    .set({ ...plan, image: keptText(plan.image) })
    .where(and(eq(jobs.uuid, uuid), eq(jobs.state, 'offered')))
    .returning({ uuid: jobs.uuid })
  return rows.length > 0
}

/** Moves a job on; false when its state does not allow it: somebody else was faster. */
export async function moveJob(db: Database, uuid: string, move: JobMove): Promise<boolean> {
  const rows = await db
    .update(jobs)
    .set({ state: move.to, ...momentOf(move), ...(move.result ? kept(move.result) : {}) })
    .where(and(eq(jobs.uuid, uuid), inArray(jobs.state, statesBefore(move.to, move.event))))
    .returning({ uuid: jobs.uuid })
  return rows.length > 0
}

/** Ends the open jobs of some batches, which nobody drives any more. Returns how many there were. */
export async function abandonJobs(db: Database, batchIds: readonly number[], at: Date): Promise<number> {
  if (batchIds.length === 0) return 0
  const rows = await db
    .update(jobs)
    .set({ state: 'broken', reason: 'abandoned', endedAt: at, score: 0, rightAnswer: false })
    .where(and(inArray(jobs.state, [...OPEN_STATES]), inArray(jobs.batchId, [...batchIds])))
    .returning({ uuid: jobs.uuid })
  return rows.length
}

/** Ends the organic jobs opened before a moment that nobody drives any more. Returns how many there were. */
export async function abandonOrganicJobs(db: Database, createdBefore: Date, at: Date): Promise<number> {
  const rows = await db
    .update(jobs)
    .set({ state: 'broken', reason: 'abandoned', endedAt: at })
    .where(and(inArray(jobs.state, [...OPEN_STATES]), isNull(jobs.batchId), lt(jobs.createdAt, createdBefore)))
    .returning({ uuid: jobs.uuid })
  return rows.length
}

/** The sum of the scores of some batches by miner hotkey. */
export async function scoresOf(db: Database, batchIds: readonly number[]): Promise<Map<string, number>> {
  if (batchIds.length === 0) return new Map()
  const rows = await db
    .select({ hotkey: jobs.minerHotkey, score: sql<number>`sum(${jobs.score})::float8`.mapWith(Number) })
    .from(jobs)
    .where(inArray(jobs.batchId, [...batchIds]))
    .groupBy(jobs.minerHotkey)
  return new Map(rows.map(row => [row.hotkey, row.score]))
}

function momentOf({ to, at }: JobMove) {
  if (to === 'accepted') return { acceptedAt: at }
  if (to === 'ready') return { readyAt: at }
  if (to === 'running') return { runningAt: at }
  return isFinal(to) ? { endedAt: at } : {}
}

/** What a miner says need not fit its columns. */
function kept(result: JobResult): JobResult {
  const { exitStatus } = result
  return {
    ...result,
    exitStatus: exitStatus !== null && Math.abs(exitStatus) < INTEGER_END ? exitStatus : null,
    stdout: keptText(result.stdout),
    stderr: keptText(result.stderr),
  }
}

/** Postgres stores no NUL. */
function keptText(text: string | null): string | null {
  return text === null ? null : shorten(text.replaceAll('\0', '\ufffd'), MAX_KEPT_CHARACTERS)
}
