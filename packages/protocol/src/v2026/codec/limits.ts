/** Converts time limits between v2026 and the vocabulary of ../../job. */
import type { TimeLimits } from '../../job/request.ts'
import type { ExecutorTiming } from '../job.ts'

/** The fields of an offer that limit a job. */
export interface V2026Limits {
  /** Peers of 2025 read only this. */
  timeout_seconds: number | null
  executor_timing: ExecutorTiming | null
}

/** How long a job of v0, which limits only the run, may load its input and upload its output, in seconds each. */
const TRANSFER_SECONDS = 300

/** The time limit of the run of a job of v0 that names none, in seconds. */
const DEFAULT_RUN_SECONDS = 300

/** Without limits of its stages, a job has one for all of them. A negative limit leaves no time. */
export function limitsFromV2026({ executor_timing: timing, timeout_seconds: whole }: V2026Limits): TimeLimits {
  if (timing === null) return { kind: 'whole', seconds: whole === null ? null : Math.max(0, whole) }
  return {
    kind: 'stages',
    leeway: Math.max(0, timing.allowed_leeway),
    download: Math.max(0, timing.download_time_limit),
    execution: Math.max(0, timing.execution_time_limit),
    upload: Math.max(0, timing.upload_time_limit),
    streamingStart: Math.max(0, timing.streaming_start_time_limit),
  }
}

/** Python validators say `timeout_seconds` 300 beside every `executor_timing`, and so do ours. */
export function limitsToV2026(limits: TimeLimits): V2026Limits {
  if (limits.kind === 'whole') return { timeout_seconds: limits.seconds, executor_timing: null }
  const stages = limits.kind === 'stages' ? limits : stagesOfRun(limits.seconds)
  return {
    timeout_seconds: DEFAULT_RUN_SECONDS,
    executor_timing: {
      allowed_leeway: stages.leeway,
      download_time_limit: stages.download,
      execution_time_limit: stages.execution,
      upload_time_limit: stages.upload,
      streaming_start_time_limit: stages.streamingStart,
    },
  }
}

function stagesOfRun(seconds: number | null) {
  const execution = seconds ?? DEFAULT_RUN_SECONDS
  return { leeway: 0, download: TRANSFER_SECONDS, execution, upload: TRANSFER_SECONDS, streamingStart: 0 }
}
