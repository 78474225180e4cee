import type { Reason } from '@horde/protocol/reasons'
import type { ResultWord } from './job-to-drive.ts'

/**
 * Returns why a job failed by its miner's word. Old miners do not say that the time limit ended it: a job without an exit status
 * that lasted so long counts as such.
 *
 * @param seconds from the sending of the work; undefined when nobody measured that
 */
export function failureReason(
  { docker_process_exit_status: status, timeout }: ResultWord & { message_type: 'V0JobFailedRequest' },
  seconds: number | undefined,
  timeoutSeconds: number,
): Extract<Reason, 'exit-status' | 'time-limit' | 'not-run'> {
  if (status !== null) return 'exit-status'
  return timeout || (seconds !== undefined && seconds >= timeoutSeconds) ? 'time-limit' : 'not-run'
}
