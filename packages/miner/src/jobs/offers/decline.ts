/** Declining an offer. The first ones are stored, so that they stay declined; of a flood one line a minute tells. */
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { FIRST_STATE } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import { insertJob, type NewJob } from '../../db/jobs.ts'
import type { JobCounters } from '../../operator/metrics/job-counters.ts'
import type { ValidatorSession } from '../../validator-session.ts'
import type { Admission } from './admission.ts'
import type { FloodLog } from './flood-log.ts'

export type DeclineDeps = {
  db: Database
  admission: Admission
  floods: FloodLog
  counters: Pick<JobCounters, 'declined'>
  clock: Clock
  log: Log
}

/** What an offer says of its job. */
export type OfferedJob = Omit<NewJob, 'executorToken' | 'place' | 'state' | 'reason'>

/** Of a flood nothing may reach the database, and one that does not answer stores nothing. */
const UNSTORED: readonly Reason[] = ['too-many-offers', 'database-away']

export async function decline(
  job: OfferedJob,
  reason: Reason,
  session: ValidatorSession,
  { db, admission, floods, counters, clock, log }: DeclineDeps,
): Promise<void> {
  const { uuid: jobUuid, validator } = job
  if (!UNSTORED.includes(reason) && admission.mayStoreDecline(validator)) {
    const row = { ...job, state: 'rejected' as const, reason, executorToken: '', place: null }
    await insertJob(db, row, new Date(clock.now()))
    log.info({ jobUuid, validator, from: FIRST_STATE, to: 'rejected', reason }, 'job moved')
  } else {
    floods.add(validator, reason)
    log.debug({ jobUuid, validator, reason }, 'offer declined')
  }
  counters.declined(job.executorClass, reason)
  await session.say({ message_type: 'V0DeclineJobRequest', job_uuid: jobUuid as never })
}
