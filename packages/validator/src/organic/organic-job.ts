/** Makes a user's job into one to drive. */
import type { ExecutorClass } from '@horde/protocol/classes'
import type { ResultReport } from '@horde/protocol/job/messages'
import { failureReason, type JobSpec, type Verdict } from '../jobs/job-spec.ts'
import type { UserJob } from './user-job.ts'

/** How long the stages of an organic job may take, in ms. */
export interface OrganicLimits {
  connectMs: number
  manifestMs: number
  /** From the offer to its answer. Default: as long as from the offer to ready. */
  acceptMs?: number
  /** From the offer to ready. */
  readyMs: number
  /** How long a miner keeps an executor for the offer, where its dialect says it. */
  reservationMs: number
  /** The whole job. */
  jobMs: number
}

const NO_SCORE = { score: null, rightAnswer: null, comment: null }

/**
 * @param endsAt when the job ends at the latest, in any stage, in ms of the monotonic clock
 */
export function organicJob(
  { work, limits: told }: UserJob,
  limits: OrganicLimits,
  endsAt: number,
  executorClass?: ExecutorClass,
): JobSpec {
  const { jobUuid, image, volumes } = work
  const [first] = volumes
  return {
    uuid: jobUuid,
    executorClass,
    isOrganic: true,
    offer: {
      ...{ type: 'offer', jobUuid, executorClass: executorClass ?? null, image, limits: told, isStreaming: false },
      ...{ volumeKind: first?.kind ?? null, volumes },
    },
    work,
    judge: (result, seconds) => judge(result, seconds, limits.jobMs / 1000),
    unanswered: NO_SCORE,
    connectMs: limits.connectMs,
    acceptMs: limits.acceptMs ?? limits.readyMs,
    reservationMs: limits.reservationMs,
    readyMs: limits.readyMs,
    resultMs: limits.jobMs,
    endsAt,
  }
}

function judge(result: ResultReport, seconds: number | undefined, timeoutSeconds: number): Verdict {
  if (result.type === 'finish') return { ...NO_SCORE, reason: null }
  return { ...NO_SCORE, reason: failureReason(result.failure, seconds, timeoutSeconds) }
}
