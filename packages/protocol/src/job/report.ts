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

/** What a job's container printed, and what came back with it. */
export interface JobOutput {
  stdout: string
  stderr: string
  /** Files of the artifacts folder by path, as base64. Null: the job asked for none. */
  artifacts: Record<string, string> | null
  /** What the targets of uploads answered, by path, `output.zip` or `system_output`. Null: nothing was uploaded. */
  uploadAnswers: Record<string, UploadAnswer> | null
}

/** Why a job itself failed. */
export const JOB_FAILURES = ['timeout', 'nonzero-exit', 'download-failed', 'upload-failed', 'unknown'] as const
export type JobFailureReason = (typeof JOB_FAILURES)[number]

/** The job failed by its own fault or limits. */
export interface FailedJob {
  reason: JobFailureReason
  stage: JobStage | 'unknown'
  /** For the user. */
  message: string
  /** Null when the container did not exit by itself, or did not run. */
  exitStatus: number | null
}
