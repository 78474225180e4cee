/** The messages of dialect v2026 that pass from one link to the next: validator – miner – executor. */
import { z } from 'zod'
import { executorTimingOrNull, preset, streamingDetailsOrNull, uploadOrNull, volumeOrNull } from './job.ts'
import { jobStartedPayload } from './receipts/payloads.ts'
import {
  anyMap,
  anyMapOrNull,
  executorClass,
  text,
  textList,
  textMap,
  textMapOrNull,
  textOrNull,
  whole,
  wholeOrNull,
} from './scalars.ts'
import { HORDE_FAILURE_REASONS, JOB_FAILURE_REASONS, JOB_STAGES, PARTIES, wordOf, wordOrUnknown } from './words.ts'

/** A message about one job. Peers send any text as `job_uuid`, so a reader checks it before it looks for a job. */
export const aboutJob = <T extends string>(type: T) => z.object({ message_type: z.literal(type), job_uuid: text })

/** A message about one job that a miner passed on with the executor's token. To a validator the token is null. */
const aboutExecutor = <T extends string>(type: T) => aboutJob(type).extend({ executor_token: textOrNull })

export const genericError = z.object({ message_type: z.literal('GenericError'), details: textOrNull })
export type GenericError = z.output<typeof genericError>

/** The offer, with the whole input. */
export const initialJobRequest = aboutJob('V0InitialJobRequest').extend({
  executor_class: executorClass,
  docker_image: textOrNull,
  /** The whole budget from ready to the result, in seconds. Unused when there is `executor_timing`. */
  timeout_seconds: wholeOrNull,
  volume: volumeOrNull,
  job_started_receipt_payload: jobStartedPayload,
  job_started_receipt_signature: text,
  /** Only for streaming jobs. */
  streaming_details: streamingDetailsOrNull,
  executor_timing: executorTimingOrNull,
})

export const jobRequest = aboutJob('V0JobRequest').extend({
  executor_class: executorClass,
  docker_image: text,
  raw_script: textOrNull,
  docker_run_options_preset: preset,
  docker_run_cmd: textList,
  env: textMap.default(() => ({})),
  /** Null when it came with the offer. */
  volume: volumeOrNull,
  output_upload: uploadOrNull,
  artifacts_dir: textOrNull,
})

export const streamingJobReady = aboutExecutor('V0StreamingJobReadyRequest').extend({
  /** The certificate of the job's server, PEM. */
  public_key: text,
  /** Null from the executor: the miner sets it, and signs. */
  ip: textOrNull,
  port: whole,
  miner_signature: textOrNull,
})
export type V0StreamingJobReadyRequest = z.output<typeof streamingJobReady>

export const jobFinished = aboutJob('V0JobFinishedRequest').extend({
  docker_process_stdout: text,
  docker_process_stderr: text,
  /** The files of the artifacts folder as base64, by path. */
  artifacts: textMapOrNull,
  /** By path, `output.zip` or `system_output`: the answer to each upload as JSON `{"headers": {…}, "body": "…"}`. */
  upload_results: textMapOrNull,
})
export type V0JobFinishedRequest = z.output<typeof jobFinished>

/** What a failure by the job's own fault says, on all links. */
export const jobFailureFields = {
  message: text,
  reason: wordOf(JOB_FAILURE_REASONS),
  stage: wordOf(JOB_STAGES),
  docker_process_exit_status: wholeOrNull,
  docker_process_stdout: textOrNull,
  docker_process_stderr: textOrNull,
  context: anyMapOrNull,
}

/** What a failure by the horde's fault says, on all links. */
export const hordeFailureFields = {
  reported_by: wordOf(PARTIES),
  message: text,
  reason: wordOf(HORDE_FAILURE_REASONS),
  context: anyMapOrNull,
}

/** The job ended by its own fault or limits. Peers of spring 2025 call reason and message by other names. */
export const jobFailed = z.preprocess(
  renamed({ error_detail: 'message', error_type: 'reason' }),
  aboutJob('V0JobFailedRequest').extend({
    ...jobFailureFields,
    message: text.default(''),
    reason: wordOrUnknown(JOB_FAILURE_REASONS),
    stage: wordOrUnknown(JOB_STAGES),
  }),
)
export type V0JobFailedRequest = z.output<typeof jobFailed>

/** The job ended by fault of the horde. */
export const hordeFailed = aboutJob('V0HordeFailedRequest').extend(hordeFailureFields)
export type V0HordeFailedRequest = z.output<typeof hordeFailed>

/** The stages of a job and its end, as the executor says them and the miner passes them on. */
export const executorReports = {
  V0ExecutorReadyRequest: aboutExecutor('V0ExecutorReadyRequest'),
  V0VolumesReadyRequest: aboutJob('V0VolumesReadyRequest'),
  V0StreamingJobReadyRequest: streamingJobReady,
  /** The container has ended with status 0. Uploads follow. */
  V0ExecutionDoneRequest: aboutJob('V0ExecutionDoneRequest'),
  V0MachineSpecsRequest: aboutJob('V0MachineSpecsRequest').extend({ specs: z.object({ specs: anyMap }) }),
  V0JobFinishedRequest: jobFinished,
  V0JobFailedRequest: jobFailed,
  V0HordeFailedRequest: hordeFailed,
  /** Of spring 2025. The same as a horde failure `generic_error`. */
  V0ExecutorFailedRequest: aboutExecutor('V0ExecutorFailedRequest'),
  /** Of spring 2025. The same as a horde failure `streaming_failed`. */
  V0StreamingJobNotReadyRequest: aboutExecutor('V0StreamingJobNotReadyRequest'),
}

/** Gives fields their new names, unless these are there already. */
function renamed(names: Record<string, string>): (value: unknown) => unknown {
  return value => {
    const object = { ...(value as Record<string, unknown>) }
    for (const [old, name] of Object.entries(names)) {
      if (Object.hasOwn(object, old) && !Object.hasOwn(object, name)) object[name] = object[old]
    }
    return object
  }
}
