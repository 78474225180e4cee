/** Converts the messages about jobs of link 1 between v0 and the vocabulary in ../job. */
import type { JobReport, JobRequest } from '../job/messages.ts'
import type { JobWork } from '../job/request.ts'
import { failureFromV0, offerFromV0, offerToV0, outputFromV0, printedToV0, workFromV0, workToV0 } from './job-codec.ts'
import type { MinerMessage, V0InitialJobRequest, V0JobRequest } from './validator-miner.ts'

/** A miner's message about one job. */
export type V0MinerJobMessage = Extract<MinerMessage, { job_uuid: string }>

export function requestFromV0(message: V0InitialJobRequest | V0JobRequest): JobRequest {
  if (message.message_type === 'V0JobRequest') return { type: 'work', ...workFromV0(message) }
  return { type: 'offer', ...offerFromV0(message, message.executor_class ?? null) }
}

/** Throws NotInV0Error for work that v0 cannot express. */
export function requestToV0(request: JobRequest): V0InitialJobRequest | V0JobRequest {
  if (request.type === 'work') return workRequestToV0(request)
  const { executorClass } = request
  const ofClass = executorClass === null ? {} : { executor_class: executorClass }
  return { message_type: 'V0InitialJobRequest', ...offerToV0(request), ...ofClass }
}

/** Throws NotInV0Error for work that v0 cannot express. */
export function workRequestToV0(work: JobWork): V0JobRequest {
  return { message_type: 'V0JobRequest', ...workToV0(work) }
}

export function reportFromV0(message: V0MinerJobMessage): JobReport {
  const { job_uuid: jobUuid } = message
  switch (message.message_type) {
    case 'V0AcceptJobRequest':
      return { type: 'accept', jobUuid }
    case 'V0DeclineJobRequest':
      return { type: 'decline', jobUuid, reason: 'unknown', message: '', receipts: [] }
    case 'V0ExecutorReadyRequest':
      return { type: 'ready', jobUuid }
    case 'V0ExecutorFailedRequest':
      return { type: 'not-prepared', jobUuid }
    case 'V0JobFinishedRequest':
      return { type: 'finish', jobUuid, output: outputFromV0(message) }
    case 'V0JobFailedRequest': {
      const failure = failureFromV0(message.docker_process_exit_status, message.timeout ?? false, message)
      return { type: 'fail', jobUuid, failure }
    }
  }
}

/** Returns undefined for what v0 has no message for: the steps of a job that runs. */
export function reportToV0(report: JobReport): V0MinerJobMessage | undefined {
  const { jobUuid: job_uuid } = report
  switch (report.type) {
    case 'accept':
      return { message_type: 'V0AcceptJobRequest', job_uuid }
    case 'decline':
      return { message_type: 'V0DeclineJobRequest', job_uuid }
    case 'ready':
      return { message_type: 'V0ExecutorReadyRequest', job_uuid }
    case 'not-prepared':
      return { message_type: 'V0ExecutorFailedRequest', job_uuid }
    case 'volumes-ready':
    case 'execution-done':
      return undefined
    case 'finish':
      return { message_type: 'V0JobFinishedRequest', job_uuid, ...printedToV0(report.output) }
    case 'fail': {
      const { exitStatus, reason, message, printed } = report.failure
      const timeout = reason === 'timeout' ? { timeout: true } : {}
      const status = { docker_process_exit_status: exitStatus, ...timeout }
      return {
        message_type: 'V0JobFailedRequest',
        job_uuid,
        ...status,
        ...printedToV0(printed ?? { stdout: message, stderr: '' }),
      }
    }
    case 'break': {
      if (report.stage === 'executor-startup') return { message_type: 'V0ExecutorFailedRequest', job_uuid }
      const output = printedToV0({ stdout: '', stderr: report.message })
      return { message_type: 'V0JobFailedRequest', job_uuid, docker_process_exit_status: null, ...output }
    }
  }
}
