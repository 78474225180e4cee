/**
 * The messages about a job between a validator, its miner and the miner's executor, in no peer's dialect. Their `type`
 * is the event of the state machine in job-state.ts.
 */
import type { JobUuid } from '../primitives.ts'
import type { FailedJob, JobOutput } from './report.ts'
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

/** What a job's runner reports. */
export type JobReport =
  | { type: 'accept' | 'ready' | 'not-prepared' | 'volumes-ready' | 'execution-done'; jobUuid: JobUuid }
  | { type: 'decline'; jobUuid: JobUuid }
  | { type: 'break'; jobUuid: JobUuid; message: string; isPrepared: boolean }
  | ResultReport
