/** What a job asks of its miner, and how its result is judged: synthetic and organic jobs are made into this. */

import type { ExecutorClass } from '@horde/protocol/classes'
import type { OfferMessage, ResultReport, WorkMessage } from '@horde/protocol/job/messages'
import type { FailedJob, Printed } from '@horde/protocol/job/report'
import type { JobState, OpenState } from '@horde/protocol/job-state'
import type { JobUuid } from '@horde/protocol/primitives'
import type { Reason } from '@horde/protocol/reasons'
import type { JobResult } from '../db/jobs.ts'

/** What a result is worth. */
export type Verdict = Pick<JobResult, 'reason' | 'score' | 'rightAnswer' | 'comment'>

/** What an earlier process of this validator left of a job. */
export interface ResumedJob {
  state: OpenState
  /** Whether to send the offer again. A v0 miner closes the connection when it receives an offer twice. */
  repeatOffer: boolean
  /** Whether the earlier process noted that it had sent the offer. */
  isOffered: boolean
  /** When its work was sent, in ms of the monotonic clock, where that is known. */
  workSentAt?: number | undefined
}

export interface JobSpec {
  uuid: JobUuid
  executorClass: ExecutorClass | undefined
  /** Whether a user asked for the job. */
  isOrganic: boolean
  offer: OfferMessage
  work: WorkMessage
  /** Judges a result that came `seconds` after the work was sent; undefined when that time was not measured. */
  judge(result: ResultReport, seconds: number | undefined): Verdict
  /** The verdict about a job that ended without a result. */
  unanswered: Omit<Verdict, 'reason'>
  /** Until the offer is sent, in ms. */
  connectMs: number
  /** From the offer to its answer, in ms. */
  acceptMs: number
  /** How long a miner keeps an executor for an offer, where its dialect says it, in ms. */
  reservationMs: number
  /** For a miner that may hold the offer back: from the offer to its answer in the end, in ms. */
  slowAcceptMs?: number
  /** Called when such a miner has not answered within `acceptMs`. */
  onHeldBack?(): void
  /** From the acceptance to ready, in ms. */
  readyMs: number
  /** From ready to the result, in ms. */
  resultMs: number
  /** When the job ends at the latest, in any stage, in ms of the monotonic clock. */
  endsAt: number
  /** Given for a job that an earlier process left open. */
  resumed?: ResumedJob | undefined
  /** Whether the job stays open when this validator stops, so that the next start resumes it. */
  keepOpen?: boolean
  /** Whether the miner's last report is stored whole, beside what the result says of it. */
  keepsReport?: boolean
  /** Called after each move, once it is saved. */
  onMoved?(state: JobState): void
  /** Called when the miner reports a stage, after what was saved before. */
  onStage?(stage: StageReport): void
}

/** The stages that a miner of v2026 reports of a job that runs. */
export type StageReport = 'volumes-ready' | 'execution-done'

/**
 * Returns why a job failed, by its miner's report. A v0 miner does not say that the time limit ended a job: a job
 * without an exit status that took that long counts as such.
 *
 * @param seconds from the sending of the work to the result; undefined when that time was not measured
 */
export function failureReason(
  { exitStatus, reason }: Pick<FailedJob, 'exitStatus' | 'reason'>,
  seconds: number | undefined,
  timeoutSeconds: number,
): Extract<Reason, 'exit-status' | 'time-limit' | 'not-run'> {
  if (exitStatus !== null) return 'exit-status'
  return reason === 'timeout' || (seconds !== undefined && seconds >= timeoutSeconds) ? 'time-limit' : 'not-run'
}

/** Converts a miner's report and its verdict to the result that is stored. */
export function resultOf(
  report: ResultReport,
  verdict: Verdict,
  seconds: number | undefined,
): Omit<JobResult, 'state'> {
  return {
    ...verdict,
    seconds: seconds ?? null,
    exitStatus: report.type === 'fail' ? report.failure.exitStatus : null,
    stage: report.type === 'fail' && report.failure.stage !== 'unknown' ? report.failure.stage : null,
    message: report.type === 'fail' ? report.failure.message || null : null,
    ...printedBy(report),
    report: null,
  }
}

/** A job that did not run printed nothing; its stdout says why. */
function printedBy(report: ResultReport): Printed {
  const { stdout, stderr } =
    report.type === 'finish'
      ? report.output
      : (report.failure.printed ?? { stdout: report.failure.message, stderr: '' })
  return { stdout, stderr }
}
