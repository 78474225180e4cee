/** Users' jobs, as those who asked for them look at them. */
import type { Database } from '@horde/kit/database'
import { OPEN_STATES } from '@horde/protocol/job-state'
import { uuidKey } from '@horde/protocol/primitives'
import { and, asc, eq, gte, inArray, isNull, or } from 'drizzle-orm'
import { type JobSource, jobs } from './schema.ts'

const OUTCOME = {
  ...{ state: jobs.state, reason: jobs.reason, exitStatus: jobs.exitStatus, source: jobs.source },
  ...{ stdout: jobs.stdout, stderr: jobs.stderr, readyAt: jobs.readyAt, endedAt: jobs.endedAt },
  timeoutSeconds: jobs.timeoutSeconds,
}

export type JobOutcome = { [K in keyof typeof OUTCOME]: (typeof jobs.$inferSelect)[K] }

/** How it is with a user's job, if there is one of that uuid. */
export async function findJob(db: Database, uuid: string): Promise<JobOutcome | undefined> {
  const [row] = await db
    .select(OUTCOME)
    .from(jobs)
    .where(and(eq(jobs.uuid, uuidKey(uuid)), isNull(jobs.batchId)))
  return row
}

export type LeftOrganicRow = typeof jobs.$inferSelect

/** The jobs of some source that are open, or ended since a moment without its having been told, oldest first. */
export async function untoldJobs(db: Database, source: JobSource, endedSince: Date): Promise<LeftOrganicRow[]> {
  const isOpen = inArray(jobs.state, [...OPEN_STATES])
  const isUntold = and(isNull(jobs.toldAt), gte(jobs.endedAt, endedSince))
  return db
    .select()
    .from(jobs)
    .where(and(isNull(jobs.batchId), eq(jobs.source, source), or(isOpen, isUntold)))
    .orderBy(asc(jobs.createdAt))
}

/** Notes that whoever asked for a job was told how it ended. */
export async function markTold(db: Database, uuid: string, at: Date): Promise<void> {
  await db
    .update(jobs)
    .set({ toldAt: at })
    .where(and(eq(jobs.uuid, uuidKey(uuid)), isNull(jobs.batchId), isNull(jobs.toldAt)))
}

/** Ends a job that nobody can take up any more. */
export async function endLeftJob(db: Database, uuid: string, at: Date): Promise<void> {
  await db
    .update(jobs)
    .set({ state: 'broken', reason: 'abandoned', endedAt: at })
    .where(and(eq(jobs.uuid, uuid), inArray(jobs.state, [...OPEN_STATES])))
}
