/** Lists jobs for people: without their outputs and without the executors' tokens. */
import type { Database } from '@horde/kit/database'
import type { JobState } from '@horde/protocol/job-state'
import { desc, inArray } from 'drizzle-orm'
import { jobs } from './schema.ts'

/** How many jobs one list has, at most. */
export const MAX_LISTED = 1_000

const LISTED = {
  id: jobs.id,
  uuid: jobs.uuid,
  validator: jobs.validator,
  executorClass: jobs.executorClass,
  imageName: jobs.imageName,
  state: jobs.state,
  reason: jobs.reason,
  offeredAt: jobs.offeredAt,
  readyAt: jobs.readyAt,
  startedAt: jobs.startedAt,
  endedAt: jobs.endedAt,
  deliveredAt: jobs.deliveredAt,
}

export type ListedJob = { [K in keyof typeof LISTED]: (typeof jobs.$inferSelect)[K] }

/** The final states of accepted jobs. */
const ENDS: readonly JobState[] = ['finished', 'failed', 'broken']

/** The jobs that were offered last, the latest first. @param states only jobs in one of these; all when empty */
export async function lastJobs(db: Database, limit: number, states: readonly JobState[] = []): Promise<ListedJob[]> {
  const where = states.length === 0 ? undefined : inArray(jobs.state, [...states])
  return db.select(LISTED).from(jobs).where(where).orderBy(desc(jobs.id)).limit(limit)
}

/** The accepted jobs that ended last, the latest first. */
export async function lastEnds(db: Database, limit: number): Promise<ListedJob[]> {
  return db
    .select(LISTED)
    .from(jobs)
    .where(inArray(jobs.state, [...ENDS]))
    .orderBy(desc(jobs.endedAt), desc(jobs.id))
    .limit(limit)
}
