/** Converts what is reported of a job, on links 1 and 2, between v2026 and the vocabulary of ../../job. */
import type { JobReport } from '../../job/messages.ts'
import type { Breakdown, FailedJob, JobOutput } from '../../job/report.ts'
import type { JobUuid } from '../../primitives.ts'
import type { V0HordeFailedRequest, V0JobFailedRequest, V0JobFinishedRequest } from '../messages.ts'
import type { ExecutorMessage } from '../miner-executor.ts'
import type { MinerMessage } from '../validator-miner.ts'
import { answersFromV2026, answersToV2026 } from './uploads.ts'
import {
  DECLINE_OF,
  DECLINE_WORDS,
  FAILURE_OF,
  FAILURE_WORDS,
  FAULT_OF,
  FAULT_WORDS,
  STAGE_OF,
  STAGE_WORDS,
  stageOf,
} from './words.ts'

/** A message about one job, of an executor or of a miner. */
export type V2026JobMessage = Extract<ExecutorMessage | MinerMessage, { job_uuid: string }>

/**
 * Returns undefined for what moves no job: specs of the machine, and that a streaming job may be connected to.
 *
 * @param jobUuid the message's own, checked
 */
export function reportFromV2026(message: V2026JobMessage, jobUuid: JobUuid): JobReport | undefined {
  switch (message.message_type) {
    case 'V0AcceptJobRequest':
      return { type: 'accept', jobUuid }
    case 'V0DeclineJobRequest': {
      const { reason, message: why, receipts } = message
      return { type: 'decline', jobUuid, reason: DECLINE_OF[reason], message: why, receipts }
    }
    case 'V0ExecutorReadyRequest':
      return { type: 'ready', jobUuid }
    case 'V0VolumesReadyRequest':
      return { type: 'volumes-ready', jobUuid }
    case 'V0ExecutionDoneRequest':
      return { type: 'execution-done', jobUuid }
    case 'V0JobFinishedRequest':
      return { type: 'finish', jobUuid, output: outputFromV2026(message) }
    case 'V0JobFailedRequest':
      return { type: 'fail', jobUuid, failure: failureFromV2026(message) }
    case 'V0HordeFailedRequest':
      return { type: 'break', jobUuid, ...breakdownFromV2026(message) }
    case 'V0ExecutorFailedRequest':
      return { type: 'break', jobUuid, ...OF_SPRING_2025, reason: 'generic-error', stage: 'unknown' }
    case 'V0StreamingJobNotReadyRequest':
      return { type: 'break', jobUuid, ...OF_SPRING_2025, reason: 'streaming-failed', stage: 'streaming-startup' }
    case 'V0StreamingJobReadyRequest':
    case 'V0MachineSpecsRequest':
      return undefined
  }
}

const OF_SPRING_2025 = { reporter: 'executor', message: '', cause: null } as const

/** Returns the message for a validator. */
export function reportToV2026(report: JobReport): V2026JobMessage {
  const { jobUuid: job_uuid } = report
  switch (report.type) {
    case 'accept':
      return { message_type: 'V0AcceptJobRequest', job_uuid }
    case 'decline':
      return {
        message_type: 'V0DeclineJobRequest',
        job_uuid,
        message: report.message,
        reason: DECLINE_WORDS[report.reason],
        receipts: [...report.receipts],
        context: null,
      }
    case 'ready':
      return { message_type: 'V0ExecutorReadyRequest', job_uuid, executor_token: null }
    case 'volumes-ready':
      return { message_type: 'V0VolumesReadyRequest', job_uuid }
    case 'execution-done':
      return { message_type: 'V0ExecutionDoneRequest', job_uuid }
    case 'finish':
      return finishToV2026(job_uuid, report.output)
    case 'fail':
      return failureToV2026(job_uuid, report.failure)
    case 'not-prepared':
      return breakdownToV2026(job_uuid, NOT_PREPARED)
    case 'break':
      return breakdownToV2026(job_uuid, report)
  }
}

const NOT_PREPARED: Breakdown = {
  reporter: 'executor',
  reason: 'generic-error',
  stage: 'executor-startup',
  message: 'The executor could not prepare the job',
  cause: null,
}

export function finishToV2026(job_uuid: JobUuid, output: JobOutput): V0JobFinishedRequest {
  return {
    message_type: 'V0JobFinishedRequest',
    job_uuid,
    docker_process_stdout: output.stdout,
    docker_process_stderr: output.stderr,
    artifacts: output.artifacts ?? {},
    upload_results: answersToV2026(output.uploadAnswers),
  }
}

export function failureToV2026(job_uuid: JobUuid, failure: FailedJob): V0JobFailedRequest {
  return {
    message_type: 'V0JobFailedRequest',
    job_uuid,
    message: failure.message,
    reason: FAILURE_WORDS[failure.reason],
    stage: STAGE_WORDS[failure.stage],
    docker_process_exit_status: failure.exitStatus,
    docker_process_stdout: failure.printed?.stdout ?? null,
    docker_process_stderr: failure.printed?.stderr ?? null,
    context: null,
  }
}

export function breakdownToV2026(job_uuid: JobUuid, broken: Breakdown): V0HordeFailedRequest {
  const { reporter, message, reason, cause, stage } = broken
  return {
    message_type: 'V0HordeFailedRequest',
    job_uuid,
    reported_by: reporter,
    message,
    reason: FAULT_WORDS[reason],
    context: { ...(cause === null ? {} : { exception_type: cause }), stage: STAGE_WORDS[stage] },
  }
}

function outputFromV2026(message: V0JobFinishedRequest): JobOutput {
  return {
    stdout: message.docker_process_stdout,
    stderr: message.docker_process_stderr,
    artifacts: message.artifacts,
    uploadAnswers: answersFromV2026(message.upload_results),
  }
}

function failureFromV2026(message: V0JobFailedRequest): FailedJob {
  const { docker_process_stdout: stdout, docker_process_stderr: stderr } = message
  return {
    reason: FAILURE_OF[message.reason],
    stage: STAGE_OF[message.stage],
    message: message.message,
    exitStatus: message.docker_process_exit_status,
    printed: stdout === null && stderr === null ? null : { stdout: stdout ?? '', stderr: stderr ?? '' },
  }
}

function breakdownFromV2026({ reported_by: reporter, reason, message, context }: V0HordeFailedRequest): Breakdown {
  const cause = typeof context?.exception_type === 'string' ? context.exception_type : null
  return { reporter, reason: FAULT_OF[reason], stage: stageOf(context?.stage), message, cause }
}
