/** Reads and saves users' jobs of v2026, and their tries on miners. */
import type { Database } from '@horde/kit/database'
import type { JobReport } from '@horde/protocol/job/messages'
import { FINAL_STATES, type JobState, OPEN_STATES } from '@horde/protocol/job-state'
import { uuidKey } from '@horde/protocol/primitives'
import type { V2JobRequest } from '@horde/protocol/v2026/facilitator-validator'
import { and, asc, eq, exists, gte, inArray, isNotNull, isNull, lt, notExists, or, type SQL, sql } from 'drizzle-orm'
import type { Refusal } from '../json-columns.ts'
import { jobs, userJobs } from '../schema.ts'

/** Without the signature, which is checked before a job is stored. */
export type StoredRequest = Omit<V2JobRequest, 'signature'>

type Row = typeof userJobs.$inferSelect
export type StoredUserJob = Omit<Row, 'request'> & { request: StoredRequest }

/** A try of a user's job on one miner. */
export type StoredTry = Omit<typeof jobs.$inferSelect, 'report'> & { report: JobReport | null }

/**
 * Adds a job, and returns it. Returns `known` when there is one with its uuid, and `used` when another job has its
 * signature.
 *
 * @param isRepeat whether an earlier try may have added it without our hearing of it: a job with its uuid is then taken
 *   for that one
 */
export async function addUserJob(
  db: Database,
  { signature: _, ...request }: V2JobRequest,
  { signatory, signed, createdAt }: Pick<Row, 'signatory' | 'signed' | 'createdAt'>,
  isRepeat = false,
): Promise<StoredUserJob | 'known' | 'used'> {
  const row = { uuid: request.uuid, request: JSON.stringify(request), signatory, signed, createdAt }
  const [added] = await db.insert(userJobs).values(row).onConflictDoNothing().returning()
  if (added) return withRequest(added)
  const known = await findUserJob(db, request.uuid)
  if (!known) return 'used'
  return isRepeat ? known : 'known'
}

export async function findUserJob(db: Database, uuid: string): Promise<StoredUserJob | undefined> {
  const [row] = await db
    .select()
    .from(userJobs)
    .where(eq(userJobs.uuid, uuidKey(uuid)))
  return row && withRequest(row)
}

/** Returns the jobs that have not ended, or whose end was not reported and is younger than a moment. Oldest first. */
export async function unreportedUserJobs(db: Database, endedSince: Date): Promise<StoredUserJob[]> {
  const isUnreported = and(isNull(userJobs.toldAt), gte(userJobs.endedAt, endedSince))
  const rows = await db
    .select()
    .from(userJobs)
    .where(or(isNull(userJobs.endedAt), isUnreported))
    .orderBy(asc(userJobs.createdAt))
  return rows.map(withRequest)
}

/** Returns a job's tries, in their order. */
export async function triesOf(db: Database, uuid: string): Promise<StoredTry[]> {
  const rows = await db
    .select()
    .from(jobs)
    .where(eq(jobs.userJob, uuidKey(uuid)))
    .orderBy(asc(jobs.createdAt))
  return rows.map(({ report, ...row }) => ({ ...row, report: report === null ? null : JSON.parse(report) }))
}

/** Notes that a job has ended: by its last try, or, with a refusal, without one. */
export async function endUserJob(db: Database, uuid: string, at: Date, refusal: Refusal | null): Promise<void> {
  await db
    .update(userJobs)
    .set({ endedAt: at, refusal })
    .where(and(eq(userJobs.uuid, uuidKey(uuid)), isNull(userJobs.endedAt)))
}

/** Why a job has ended that no miner was given. */
export const TOO_LATE: Refusal = {
  reason: 'unknown',
  message: 'The validator could not give the job to a miner in time.',
}

/**
 * Ends the jobs that were created before a moment and have no open try: by their last try, or as too late without one.
 * Before that moment a job is given to a miner at the latest, so no process has more to do with them. Returns how many
 * there were.
 */
export async function endOrphanedUserJobs(db: Database, createdBefore: Date, at: Date): Promise<number> {
  const triesIn = (states: readonly JobState[]) =>
    db
      .select({ one: sql`1` })
      .from(jobs)
      .where(and(eq(jobs.userJob, userJobs.uuid), inArray(jobs.state, [...states])))
  const isOrphaned = and(
    isNull(userJobs.endedAt),
    lt(userJobs.createdAt, createdBefore),
    notExists(triesIn(OPEN_STATES)),
  )
  const end = async (refusal: Refusal | null, hasTries: SQL) =>
    db
      .update(userJobs)
      .set({ endedAt: at, refusal })
      .where(and(isOrphaned, hasTries))
      .returning({ uuid: userJobs.uuid })
  const tried = await end(null, exists(triesIn(FINAL_STATES)))
  const untried = await end(TOO_LATE, notExists(triesIn(FINAL_STATES)))
  return tried.length + untried.length
}

/**
 * Notes that the facilitator has the end of a job that has ended. The whole report of the miner is not needed any more.
 */
export async function markUserJobReported(db: Database, uuid: string, at: Date): Promise<void> {
  const hasEnded = and(eq(userJobs.uuid, uuidKey(uuid)), isNotNull(userJobs.endedAt))
  await db
    .update(userJobs)
    .set({ toldAt: at })
    .where(and(hasEnded, isNull(userJobs.toldAt)))
  const ended = db.select({ uuid: userJobs.uuid }).from(userJobs).where(hasEnded)
  await db
    .update(jobs)
    .set({ report: null })
    .where(and(inArray(jobs.userJob, ended), isNotNull(jobs.report)))
}

/** Stores a user's report of a cheat. Returns false when one is stored already. */
export async function addCheatReport(
  db: Database,
  uuid: string,
  { at, trustedJob, details }: { at: Date; trustedJob: string; details: string },
): Promise<boolean> {
  const changed = await db
    .update(userJobs)
    .set({ cheatedAt: at, trustedJob: uuidKey(trustedJob), cheatDetails: details })
    .where(and(eq(userJobs.uuid, uuidKey(uuid)), isNull(userJobs.cheatedAt)))
    .returning({ uuid: userJobs.uuid })
  return changed.length > 0
}

function withRequest({ request, ...row }: Row): StoredUserJob {
  return { ...row, request: JSON.parse(request) }
}
