/** The message for a validator about a job, by the job's state: where the miner's results leave for the wire. */
import type { JobUuid } from '@horde/protocol/primitives'
import { REASONS } from '@horde/protocol/reasons'
import type { MinerMessage } from '@horde/protocol/validator-miner'
import type { JobRow } from '../db/schema.ts'

/** Undefined for the states that send no message to the validator: offered and running. */
export function messageAbout(row: JobRow): MinerMessage | undefined {
  switch (row.state) {
    case 'offered':
    case 'running':
      return undefined
    case 'accepted':
      return acceptMessage(row)
    case 'ready':
      return readyMessage(row)
    default:
      return endMessage(row)
  }
}

export function acceptMessage({ uuid }: Pick<JobRow, 'uuid'>): MinerMessage {
  return { message_type: 'V0AcceptJobRequest', job_uuid: uuid as JobUuid }
}

export function declineMessage({ uuid }: Pick<JobRow, 'uuid'>): MinerMessage {
  return { message_type: 'V0DeclineJobRequest', job_uuid: uuid as JobUuid }
}

export function readyMessage({ uuid }: Pick<JobRow, 'uuid'>): MinerMessage {
  return { message_type: 'V0ExecutorReadyRequest', job_uuid: uuid as JobUuid }
}

/** The end of a job in a final state. A job that broke before it was ready counts as a failed preparation. */
export function endMessage({ uuid, state, reason, result, readyAt }: JobRow): MinerMessage {
  const job_uuid = uuid as JobUuid
  if (state === 'rejected') return declineMessage({ uuid })
  if (state === 'broken' && readyAt === null) return { message_type: 'V0ExecutorFailedRequest', job_uuid }
  const output = {
    docker_process_stdout: result?.stdout ?? '',
    docker_process_stderr: result?.stderr ?? (reason ? REASONS[reason] : ''),
  }
  if (state === 'finished') return { message_type: 'V0JobFinishedRequest', job_uuid, ...output }
  return {
    message_type: 'V0JobFailedRequest',
    job_uuid,
    docker_process_exit_status: result?.exitStatus ?? null,
    ...(reason === 'time-limit' ? { timeout: true } : {}),
    ...output,
  }
}
