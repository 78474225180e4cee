/** Reads and saves users' jobs of v2026, and their tries on miners. */
import type { Database } from '@horde/kit/database'
import type { JobReport } from '@horde/protocol/job/messages'
import { uuidKey } from '@horde/protocol/primitives'
import type { V2JobRequest } from '@horde/protocol/v2026/facilitator-validator'
import { and, asc, eq, gte, isNotNull, isNull, or } from 'drizzle-orm'
import type { Refusal } from '../json-columns.ts'
import { jobs, userJobs } from '../schema.ts'

/** Without the signature, which is checked before a job is stored. */
export type StoredRequest = Omit<V2JobRequest, 'signature'>

type Row = typeof userJobs.$inferSelect
export type StoredUserJob = Omit<Row, 'request'> & { request: StoredRequest }

/** A try of a user's job on one miner. */
export type StoredTry = Omit<typeof jobs.$inferSelect, 'report'> & { report: JobReport | null }

/**
 * Adds a job. Returns `known` when there is one with its uuid, and `used` when another job has its signature.
 */
export async function addUserJob(
  db: Database,
  { signature: _, ...request }: V2JobRequest,
  { signatory, signed, createdAt }: Pick<Row, 'signatory' | 'signed' | 'createdAt'>,
): Promise<'added' | 'known' | 'used'> {
  const row = { uuid: request.uuid, request: JSON.stringify(request), signatory, signed, createdAt }
  const [added] = await db.insert(userJobs).values(row).onConflictDoNothing().returning({ uuid: userJobs.uuid })
  if (added) return 'added'
  return (await findUserJob(db, request.uuid)) ? 'known' : 'used'
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

/** Notes that the facilitator has the job's end. The whole report of the miner is not needed any more. */
export async function markUserJobReported(db: Database, uuid: string, at: Date): Promise<void> {
  await db
    .update(userJobs)
    .set({ toldAt: at })
    .where(and(eq(userJobs.uuid, uuidKey(uuid)), isNull(userJobs.toldAt)))
  await db
    .update(jobs)
    .set({ report: null })
    .where(and(eq(jobs.userJob, uuidKey(uuid)), isNotNull(jobs.report)))
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
