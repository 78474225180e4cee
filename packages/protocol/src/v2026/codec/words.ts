/** The words of v2026 for reasons, stages and parties, and what they are in the vocabulary of ../../job. */
import type { DeclineReason, HordeFault, JobFailureReason, JobStage } from '../../job/report.ts'
import type * as words from '../words.ts'

export const STAGE_WORDS: Record<JobStage | 'unknown', words.JobStage> = {
  'executor-startup': 'executor_startup',
  'volume-download': 'volume_download',
  'streaming-startup': 'streaming_startup',
  execution: 'execution',
  'result-upload': 'result_upload',
  unknown: 'unknown',
}

export const FAILURE_WORDS: Record<JobFailureReason, words.JobFailureReason> = {
  timeout: 'timeout',
  'nonzero-exit': 'nonzero_return_code',
  'download-failed': 'download_failed',
  'upload-failed': 'upload_failed',
  unknown: 'unknown',
}

export const FAULT_WORDS: Record<HordeFault, words.HordeFailureReason> = {
  'generic-error': 'generic_error',
  'unhandled-exception': 'unhandled_exception',
  'unhandled-timeout': 'unhandled_timeout',
  'streaming-failed': 'streaming_failed',
  'miner-connection-failed': 'miner_connection_failed',
  'executor-not-started': 'executor_spinup_failed',
  'executor-disconnected': 'executor_disconnected',
  'security-check-failed': 'security_check_failed',
  'answer-timed-out': 'initial_response_timed_out',
  'ready-timed-out': 'executor_readiness_response_timed_out',
  'volumes-timed-out': 'volumes_timed_out',
  'streaming-timed-out': 'streaming_job_ready_timed_out',
  'execution-timed-out': 'execution_timed_out',
  'result-timed-out': 'final_response_timed_out',
  unknown: 'unknown',
}

export const DECLINE_WORDS: Record<DeclineReason, words.DeclineReason> = {
  busy: 'busy',
  'validator-blacklisted': 'validator_blacklisted',
  'invalid-signature': 'invalid_signature',
  'invalid-receipt': 'invalid_receipt',
  'no-miner': 'no_miner_for_job',
  unknown: 'unknown',
}

export const STAGE_OF = inverse(STAGE_WORDS)
export const FAILURE_OF = inverse(FAILURE_WORDS)
export const FAULT_OF = inverse(FAULT_WORDS)
export const DECLINE_OF = inverse(DECLINE_WORDS)

/** Returns what the word in the context of a horde failure says. */
export function stageOf(word: unknown): JobStage | 'unknown' {
  return typeof word === 'string' && Object.hasOwn(STAGE_OF, word) ? STAGE_OF[word as words.JobStage] : 'unknown'
}

function inverse<K extends string, V extends string>(record: Record<K, V>): Record<V, K> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [value, key])) as Record<V, K>
}
