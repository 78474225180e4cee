/**
 * The messages about a job between a validator, its miner and the miner's executor, in no peer's dialect. Their `type`
 * is the event of the state machine in job-state.ts.
 */
import type { JobUuid } from '../primitives.ts'
import type { Receipt } from '../v2026/receipts/payloads.ts'
import type { Breakdown, DeclineReason, FailedJob, JobOutput } from './report.ts'
import type { JobOffer, JobWork } from './request.ts'

export type OfferMessage = { type: 'offer' } & JobOffer
export type WorkMessage = { type: 'work' } & JobWork

/** What a job's runner is sent. */
export type JobRequest = OfferMessage | WorkMessage

/** The job finished: its container ended with status 0, and its uploads are done. */
export type FinishReport = { type: 'finish'; jobUuid: JobUuid; output: JobOutput }
/** The job failed by its own fault or limits. */
export type FailReport = { type: 'fail'; jobUuid: JobUuid; failure: FailedJob }
export type ResultReport = FinishReport | FailReport

/** Whether a job failed because its input could not be fetched. Executors of v2026 know that before the work is there. */
export function isLostInput(report: { type: string }): report is FailReport {
  return report.type === 'fail' && (report as FailReport).failure.stage === 'volume-download'
}

/** The miner does not take the job. */
export type DeclineReport = {
  type: 'decline'
  jobUuid: JobUuid
  reason: DeclineReason
  /** For people. */
  message: string
  /** With `busy`: the receipts of the jobs that keep the miner's executors of this class busy. */
  receipts: readonly Receipt[]
}
/** The job ended by fault of the horde. */
export type BreakReport = { type: 'break'; jobUuid: JobUuid } & Breakdown

/** What a job's runner reports. */
export type JobReport =
  | { type: 'accept' | 'ready' | 'not-prepared' | 'volumes-ready' | 'execution-done'; jobUuid: JobUuid }
  | DeclineReport
  | BreakReport
  | ResultReport
