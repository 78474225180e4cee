/** The work itself, from a validator: it goes to whoever drives the job. */
import type { Database } from '@horde/kit/database'
import { isFinal } from '@horde/protocol/job-state'
import type { V0JobRequest } from '@horde/protocol/validator-miner'
import { findJob } from '../db/jobs.ts'
import type { ValidatorSession } from '../validator-session.ts'
import type { LiveJobs } from './live-job.ts'
import type { News } from './news.ts'

export type WorkDeps = { db: Database; live: LiveJobs; news: News }

export async function takeWork(work: V0JobRequest, session: ValidatorSession, deps: WorkDeps): Promise<void> {
  const job = deps.live.find(session.validator, work.job_uuid)
  if (job) {
    job.moveTo(session)
    // Heard once: work that is said again is the same work.
    if (job.work === undefined) job.words.put({ from: 'validator', message: work })
    job.work ??= work
    if (isFinal(job.state)) await deps.news.tell(job)
    return
  }
  const ended = await findJob(deps.db, session.validator, work.job_uuid)
  if (ended) return deps.news.tellEnd(ended, session)
  await session.say({ message_type: 'GenericError', details: 'No job with this job_uuid was offered by you' })
}
