/** What a validator is told about a job, by the job's state. Its connection converts it to the validator's dialect. */
import type { JobReport } from '@horde/protocol/job/messages'
import type { JobUuid } from '@horde/protocol/primitives'
import { REASONS } from '@horde/protocol/reasons'
import type { JobRow } from '../db/schema.ts'

/** Undefined for the states that report nothing to the validator: offered and running. */
export function reportAbout(row: JobRow): JobReport | undefined {
  switch (row.state) {
    case 'offered':
    case 'running':
      return undefined
    case 'accepted':
      return reportOf('accept', row)
    case 'ready':
      return reportOf('ready', row)
    default:
      return endReport(row)
  }
}

/** Returns a report that says no more than its type. */
export function reportOf<T extends 'accept' | 'decline' | 'ready'>(type: T, { uuid }: Pick<JobRow, 'uuid'>) {
  return { type, jobUuid: uuid as JobUuid }
}

/** Returns the report about the end of a job in a final state. */
export function endReport(row: JobRow): JobReport {
  const { uuid, state, reason, result, readyAt } = row
  const jobUuid = uuid as JobUuid
  if (state === 'rejected') return reportOf('decline', row)
  const why = reason ? REASONS[reason] : ''
  if (state === 'broken') return { type: 'break', jobUuid, message: why, isPrepared: readyAt !== null }
  const { exitStatus = null, stdout = '', stderr = why } = result ?? {}
  if (state === 'finished') {
    return { type: 'finish', jobUuid, output: { stdout, stderr, artifacts: null, uploadAnswers: null } }
  }
  const cause = reason === 'time-limit' ? 'timeout' : reason === 'exit-status' ? 'nonzero-exit' : 'unknown'
  const printed = { stdout, stderr }
  return { type: 'fail', jobUuid, failure: { reason: cause, stage: 'unknown', message: why, exitStatus, printed } }
}
