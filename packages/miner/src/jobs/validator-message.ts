/** What a validator is told about a job, by the job's state. Its connection converts it to the validator's dialect. */
import type { DeclineReport, JobReport } from '@horde/protocol/job/messages'
import type { DeclineReason, HordeFault } from '@horde/protocol/job/report'
import type { JobUuid } from '@horde/protocol/primitives'
import { REASONS, type Reason } from '@horde/protocol/reasons'
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

/** What a declined offer is for peers whose dialect has reasons. Those that are not here are `unknown`. */
const DECLINE_REASONS: Partial<Record<Reason, DeclineReason>> = {
  'no-free-executor': 'busy',
  'too-many-open-jobs': 'busy',
  'too-many-offers': 'busy',
  'not-a-validator': 'validator-blacklisted',
}

/** What a broken job is for peers whose dialect has reasons. Those that are not here are `generic-error`. */
const FAULTS: Partial<Record<Reason, HordeFault>> = {
  'executor-not-started': 'executor-not-started',
  'executor-exited': 'executor-disconnected',
  'executor-lost': 'executor-disconnected',
  'prepare-timed-out': 'unhandled-timeout',
  'work-not-sent': 'unhandled-timeout',
  'run-timed-out': 'unhandled-timeout',
}

/** Returns the report about an offer that is declined. */
export function declineReport({ uuid }: Pick<JobRow, 'uuid'>, reason: Reason | null): DeclineReport {
  const code = (reason && DECLINE_REASONS[reason]) ?? 'unknown'
  const message = reason ? REASONS[reason] : ''
  return { type: 'decline', jobUuid: uuid as JobUuid, reason: code, message, receipts: [] }
}

/** Returns a report that says no more than its type. */
export function reportOf<T extends 'accept' | 'ready'>(type: T, { uuid }: Pick<JobRow, 'uuid'>) {
  return { type, jobUuid: uuid as JobUuid }
}

/** Returns the report about the end of a job in a final state. */
export function endReport(row: JobRow): JobReport {
  const { uuid, state, reason, result, readyAt } = row
  const jobUuid = uuid as JobUuid
  if (state === 'rejected') return declineReport(row, reason)
  const why = reason ? REASONS[reason] : ''
  if (state === 'broken') {
    const stage = readyAt === null ? 'executor-startup' : 'unknown'
    const code = (reason && FAULTS[reason]) ?? 'generic-error'
    return { type: 'break', jobUuid, reporter: 'miner', reason: code, stage, message: why, cause: null }
  }
  const { exitStatus = null, stdout = '', stderr = why } = result ?? {}
  if (state === 'finished') {
    return { type: 'finish', jobUuid, output: { stdout, stderr, artifacts: null, uploadAnswers: null } }
  }
  const cause = reason === 'time-limit' ? 'timeout' : reason === 'exit-status' ? 'nonzero-exit' : 'unknown'
  const printed = { stdout, stderr }
  return { type: 'fail', jobUuid, failure: { reason: cause, stage: 'unknown', message: why, exitStatus, printed } }
}
