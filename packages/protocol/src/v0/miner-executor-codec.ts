/** Converts the messages of link 2 between v0 and the vocabulary in ../job: the miner's side. */
import type { JobReport, JobRequest } from '../job/messages.ts'
import { failureFromV0, offerToV0, outputFromV0, workToV0 } from './job-codec.ts'
import type { ExecutorMessage, V0PrepareJobRequest, V0RunJobRequest } from './miner-executor.ts'

/** An executor's message about its job. */
export type V0ExecutorReport = Exclude<ExecutorMessage, { message_type: 'GenericError' }>

/**
 * Throws NotInV0Error for work that v0 cannot express.
 *
 * @param capabilities of the miner
 */
export function requestToV0Executor(
  request: JobRequest,
  capabilities: string[],
): V0PrepareJobRequest | V0RunJobRequest {
  if (request.type === 'work') return { message_type: 'V0RunJobRequest', ...workToV0(request) }
  return { message_type: 'V0PrepareJobRequest', ...offerToV0(request), capabilities }
}

export function reportFromV0Executor(message: V0ExecutorReport): JobReport {
  const { job_uuid: jobUuid } = message
  switch (message.message_type) {
    case 'V0ReadyRequest':
      return { type: 'ready', jobUuid }
    case 'V0FailedToPrepare':
      return { type: 'not-prepared', jobUuid }
    case 'V0FinishedRequest':
      return { type: 'finish', jobUuid, output: outputFromV0(message) }
    case 'V0FailedRequest': {
      const failure = failureFromV0(message.docker_process_exit_status, message.timeout, message)
      return { type: 'fail', jobUuid, failure }
    }
  }
}
