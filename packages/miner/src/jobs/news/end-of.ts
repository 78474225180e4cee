/** A job's end in the words for its validator. */
import type { JobUuid } from '@horde/protocol/primitives'
import { REASONS } from '@horde/protocol/reasons'
import type { MinerMessage } from '@horde/protocol/validator-miner'
import type { JobRow } from '../../db/schema.ts'

export type Ended = Pick<JobRow, 'uuid' | 'state' | 'reason' | 'result' | 'readyAt'>

/** What was broken before it was ready failed to be prepared. */
export function endOf({ uuid, state, reason, result, readyAt }: Ended): MinerMessage {
  const job_uuid = uuid as JobUuid
  if (state === 'rejected') return { message_type: 'V0DeclineJobRequest', job_uuid }
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
