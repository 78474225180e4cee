/** Users' jobs, as those who asked for them look at them. */
import type { Database } from '@horde/kit/database'
import { uuidKey } from '@horde/protocol/primitives'
import { and, eq, isNull } from 'drizzle-orm'
import { jobs } from './schema.ts'

const OUTCOME = {
  ...{ state: jobs.state, reason: jobs.reason, exitStatus: jobs.exitStatus, source: jobs.source },
  ...{ stdout: jobs.stdout, stderr: jobs.stderr, readyAt: jobs.readyAt, endedAt: jobs.endedAt },
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
