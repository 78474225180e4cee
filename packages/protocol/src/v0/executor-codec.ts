/**
 * Converts what the executor knows of a job's end to the messages of link 2 in the dialect v0. The executor alone
 * imports it, once a miner has shown that it speaks v0.
 */
import type { JobResult } from '../job/report.ts'
import type { JobUuid } from '../primitives.ts'
import { printedToV0 } from './job-codec.ts'
import type { V0FailedRequest, V0FinishedRequest } from './miner-executor.ts'

export type V0Answer = V0FinishedRequest | V0FailedRequest | { message_type: 'V0FailedToPrepare'; job_uuid: JobUuid }

/** Returns the message for the miner. A job that did not run has the reason as its stdout. */
export function answerToV0(jobUuid: JobUuid, result: JobResult): V0Answer {
  if (result.end === 'broken' && result.stage === 'executor-startup') {
    return { message_type: 'V0FailedToPrepare', job_uuid: jobUuid }
  }
  if (result.end === 'finished') {
    return { message_type: 'V0FinishedRequest', job_uuid: jobUuid, ...printedToV0(result) }
  }
  return {
    message_type: 'V0FailedRequest',
    docker_process_exit_status: result.exitStatus,
    timeout: result.end === 'failed' && result.reason === 'timeout' && result.stage === 'execution',
    job_uuid: jobUuid,
    ...printedToV0(result.printed ?? notRun(result)),
  }
}

function notRun(result: Exclude<JobResult, { end: 'finished' }>) {
  if (result.end === 'failed') return { stdout: result.message, stderr: '' }
  return { stdout: '', stderr: `${result.message}\n` }
}
