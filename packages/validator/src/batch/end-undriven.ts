import { advance, FIRST_STATE, type FinalState } from '@horde/protocol/job-state'
import { changeOf, type JobResult } from '../db/jobs.ts'
import type { JobEnd } from '../job/job-to-drive.ts'
import type { OpenJob, PartDeps } from './batch-part.ts'

const NOTHING_SAID = { seconds: null, exitStatus: null, stdout: null, stderr: null, comment: null }

/** The batch closed before the job's turn came: no fault of the miner. */
export function endWithoutPlace(job: OpenJob, deps: PartDeps): Promise<JobEnd> {
  const verdict = { reason: 'no-turn', score: null, rightAnswer: null } as const
  return endUndriven(job, 'stopped', { ...NOTHING_SAID, ...verdict }, deps)
}

/** The miner's manifest lists no executor that could run the job. */
export function endWithoutExecutor(job: OpenJob, deps: PartDeps): Promise<JobEnd> {
  const verdict = { reason: 'no-executor', score: 0, rightAnswer: false } as const
  return endUndriven(job, 'V0DeclineJobRequest', { ...NOTHING_SAID, ...verdict }, deps)
}

async function endUndriven(
  { uuid, executorClass }: OpenJob,
  event: 'stopped' | 'V0DeclineJobRequest',
  result: JobResult,
  { journal, clock, log }: PartDeps,
): Promise<JobEnd> {
  const to = advance(FIRST_STATE, event) as FinalState
  const { reason, score } = result
  log.info({ jobUuid: uuid, from: FIRST_STATE, to, reason, score }, 'job moved')
  await journal.note(changeOf(uuid, { event, to, at: new Date(clock.now()), result }))
  return { ...result, state: to, executorClass, word: null }
}
