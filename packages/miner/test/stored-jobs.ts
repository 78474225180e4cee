/** Puts jobs into a miner's database as an earlier run left them, past the miner's own transitions. */
import type { Database } from '@horde/kit/database'
import { isFinal, type JobState } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import type { V0JobRequest } from '@horde/protocol/v0/validator-miner'
import { eq } from 'drizzle-orm'
import { type JobResult, jobs } from '../src/db/schema.ts'

type Move = { to: JobState; reason?: Reason; result?: JobResult; work?: V0JobRequest | undefined }

/** Puts a stored job into a state. */
export async function moveStored(db: Database, id: number, move: Move, at: Date): Promise<void> {
  const { to, reason = null, result = null, work = null } = move
  const times = {
    ...(to === 'ready' && { readyAt: at }),
    ...(to === 'running' && { startedAt: at }),
    ...(isFinal(to) && { endedAt: at }),
  }
  await db
    .update(jobs)
    .set({ state: to, reason, result, work, ...times })
    .where(eq(jobs.id, id))
}
