/**
 * The words of dialect v2026 for why and where a job ended. A word that this list lacks, and anything that is no word,
 * reads as `unknown`: later years add words, and a frame must not be lost for one.
 */
import { z } from 'zod'

/** Why a miner declines an offer, or a validator rejects a job. */
export const DECLINE_REASONS = [
  'busy',
  'validator_blacklisted',
  'invalid_signature',
  /** Since October 2026. Peers of January read it as unknown. */
  'invalid_receipt',
  'no_miner_for_job',
  'unknown',
] as const
export type DeclineReason = (typeof DECLINE_REASONS)[number]

/** Why a job failed by its own fault or limits. */
export const JOB_FAILURE_REASONS = [
  'timeout',
  'nonzero_return_code',
  'download_failed',
  'upload_failed',
  'unknown',
] as const
export type JobFailureReason = (typeof JOB_FAILURE_REASONS)[number]

/** Why a job failed by fault of the horde. The validator itself says the words that end with `timed_out`. */
export const HORDE_FAILURE_REASONS = [
  'generic_error',
  'unhandled_exception',
  'unhandled_timeout',
  'streaming_failed',
  'miner_connection_failed',
  'executor_spinup_failed',
  'executor_disconnected',
  'security_check_failed',
  'initial_response_timed_out',
  'executor_readiness_response_timed_out',
  'volumes_timed_out',
  'streaming_job_ready_timed_out',
  'execution_timed_out',
  'final_response_timed_out',
  'unknown',
] as const
export type HordeFailureReason = (typeof HORDE_FAILURE_REASONS)[number]

/** In which stage a job failed. */
export const JOB_STAGES = [
  'executor_startup',
  'volume_download',
  'streaming_startup',
  'execution',
  'result_upload',
  'unknown',
] as const
export type JobStage = (typeof JOB_STAGES)[number]

/** Who reports something. */
export const PARTIES = ['sdk', 'facilitator', 'validator', 'miner', 'executor', 'unknown'] as const
export type Party = (typeof PARTIES)[number]

/** How far a job is. A facilitator shows `sent` to its users until the validator says `received`. */
export const JOB_STATUSES = [
  'sent',
  'received',
  'accepted',
  'executor_ready',
  'streaming_ready',
  'volumes_ready',
  'execution_done',
  'completed',
  'rejected',
  'failed',
  'horde_failed',
  'unknown',
] as const
export type JobStatus = (typeof JOB_STATUSES)[number]

/** A word of a list that has `unknown`. */
export function wordOf<const W extends string>(words: readonly (W | 'unknown')[]) {
  return z.custom<unknown>(value => value !== undefined, 'is missing').transform(value => known(words, value))
}

/** A word of a list that has `unknown`, which is also what an absent one reads as. */
export function wordOrUnknown<const W extends string>(words: readonly (W | 'unknown')[]) {
  return z
    .unknown()
    .optional()
    .transform(value => known(words, value))
}

function known<W extends string>(words: readonly (W | 'unknown')[], value: unknown): W | 'unknown' {
  return words.find(word => word === value) ?? 'unknown'
}
