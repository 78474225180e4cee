/** What an executor and its miner report about a job, in no peer's dialect. */
import type { UploadAnswer } from './uploads.ts'

/** The stages of a job in which it can fail, in their order. */
export const STAGES = [
  'executor-startup',
  'volume-download',
  'streaming-startup',
  'execution',
  'result-upload',
] as const
export type JobStage = (typeof STAGES)[number]

/** What a job's container printed. */
export interface Printed {
  stdout: string
  stderr: string
}

/** What a job's container printed, and what came back with it. */
export interface JobOutput extends Printed {
  /** Files of the artifacts folder by path, as base64. Null: the job asked for none. */
  artifacts: Record<string, string> | null
  /** What the targets of uploads answered, by path, `output.zip` or `system_output`. Null: nothing was uploaded. */
  uploadAnswers: Record<string, UploadAnswer> | null
}

/** Why a job itself failed. */
export const JOB_FAILURES = ['timeout', 'nonzero-exit', 'download-failed', 'upload-failed', 'unknown'] as const
export type JobFailureReason = (typeof JOB_FAILURES)[number]

/** Why a job broke at an executor: the horde's fault. */
export const EXECUTOR_FAULTS = ['generic-error', 'unhandled-exception', 'streaming-failed'] as const
export type ExecutorFault = (typeof EXECUTOR_FAULTS)[number]

/** Why a job broke, whoever reports it. The validator itself reports the time-outs of stages. */
export const HORDE_FAULTS = [
  ...EXECUTOR_FAULTS,
  'unhandled-timeout',
  'miner-connection-failed',
  'executor-not-started',
  'executor-disconnected',
  'security-check-failed',
  'answer-timed-out',
  'ready-timed-out',
  'volumes-timed-out',
  'streaming-timed-out',
  'execution-timed-out',
  'result-timed-out',
  'unknown',
] as const
export type HordeFault = (typeof HORDE_FAULTS)[number]

/** Who noticed that a job broke. */
export const PARTIES = ['sdk', 'facilitator', 'validator', 'miner', 'executor', 'unknown'] as const
export type Party = (typeof PARTIES)[number]

/** Why a miner declines an offer, or a validator rejects a job. */
export const DECLINE_REASONS = [
  'busy',
  'validator-blacklisted',
  'invalid-signature',
  'invalid-receipt',
  'no-miner',
  'unknown',
] as const
export type DeclineReason = (typeof DECLINE_REASONS)[number]

/** What is known of the container of a job that ended badly. */
interface Container {
  /** Null when the container did not exit by itself, or did not run. */
  exitStatus: number | null
  /** Null when the container did not run. */
  printed: Printed | null
}

/** The job failed by its own fault or limits. */
export interface FailedJob extends Container {
  reason: JobFailureReason
  stage: JobStage | 'unknown'
  /** For the user. */
  message: string
}

/** The executor could not run the job to its end, by no fault of the job. */
export interface BrokenJob extends Container {
  reason: ExecutorFault
  stage: JobStage
  message: string
  /** What exactly failed, by a name that people can search for. Null: the message says it. */
  cause: string | null
}

/** What is reported of a job that broke. */
export interface Breakdown {
  reporter: Party
  reason: HordeFault
  /** `executor-startup`: the job was not ready yet. */
  stage: JobStage | 'unknown'
  message: string
  /** What exactly failed, by a name that people can search for. Null: the message says it. */
  cause: string | null
}

/** How a job ended: the only type for it from the container to the message for the miner. */
export type JobResult =
  | ({ end: 'finished' } & JobOutput)
  | ({ end: 'failed' } & FailedJob)
  | ({ end: 'broken' } & BrokenJob)
