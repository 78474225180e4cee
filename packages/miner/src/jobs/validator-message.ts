/** What a validator is told about a job, by the job's state. Its connection converts it to the validator's dialect. */
import type { DeclineReport, JobReport } from '@horde/protocol/job/messages'
import type { Breakdown, DeclineReason, HordeFault } from '@horde/protocol/job/report'
import { isFinal } from '@horde/protocol/job-state'
import type { JobUuid } from '@horde/protocol/primitives'
import { REASONS, type Reason } from '@horde/protocol/reasons'
import type { Receipt } from '@horde/protocol/v2026/receipts/payloads'
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
  'invalid-signature': 'invalid-signature',
  unsigned: 'invalid-signature',
  'invalid-receipt': 'invalid-receipt',
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
export function declineReport(
  { uuid }: Pick<JobRow, 'uuid'>,
  reason: Reason | null,
  receipts: readonly Receipt[] = [],
): DeclineReport {
  const code = (reason && DECLINE_REASONS[reason]) ?? 'unknown'
  const message = reason ? REASONS[reason] : ''
  return { type: 'decline', jobUuid: uuid as JobUuid, reason: code, message, receipts }
}

/**
 * Returns everything that is reported about a job up to its state, in order: a validator of v2026 that was away gets
 * all of it. Executors of v0 report no steps, so those of a finished job that were not reported yet are reported just
 * before its end.
 */
export function reportsUntilNow(row: JobRow, steps: readonly JobStep[]): JobReport[] {
  if (row.state === 'offered' || row.state === 'rejected') return compact([reportAbout(row)])
  const isReady = row.readyAt !== null
  const done: readonly JobStep[] = row.state === 'finished' ? [...new Set([...steps, ...STEPS])] : steps
  const jobUuid = row.uuid as JobUuid
  // A job that ended before it was ready may never have been accepted, and its end says all.
  const isAccepted = isReady || !isFinal(row.state)
  const began = [...(isAccepted ? [reportOf('accept', row)] : []), ...(isReady ? [reportOf('ready', row)] : [])]
  const ran = isReady ? done.map(type => ({ type, jobUuid })) : []
  return [...began, ...ran, ...(isFinal(row.state) ? [endReport(row)] : [])]
}

/** What a job that runs reports of its steps. */
export type JobStep = 'volumes-ready' | 'execution-done'

const STEPS: readonly JobStep[] = ['volumes-ready', 'execution-done']

function compact(reports: (JobReport | undefined)[]): JobReport[] {
  return reports.filter(report => report !== undefined)
}

/** Returns a report that says no more than its type. */
export function reportOf<T extends 'accept' | 'ready'>(type: T, { uuid }: Pick<JobRow, 'uuid'>) {
  return { type, jobUuid: uuid as JobUuid }
}

/** From how many characters on a result is sent on one connection after the other: each has a copy of it. */
const LARGE_CHARACTERS = 100_000

/** Whether a job has ended with a large result. */
export function isLarge({ result }: Pick<JobRow, 'result'>): boolean {
  if (result === null) return false
  const { stdout, stderr, extras } = result
  const files = Object.values(extras?.artifacts ?? {})
  const answers = Object.values(extras?.uploadAnswers ?? {}).map(({ body }) => body)
  return [stdout, stderr, ...files, ...answers].reduce((sum, text) => sum + text.length, 0) > LARGE_CHARACTERS
}

/** Returns the report about the end of a job in a final state. */
export function endReport(row: JobRow): JobReport {
  const { uuid, state, reason, result } = row
  const jobUuid = uuid as JobUuid
  if (state === 'rejected') return declineReport(row, reason)
  const why = reason ? REASONS[reason] : ''
  if (state === 'broken') return { type: 'break', jobUuid, ...breakdownOf(row, why) }
  const { exitStatus = null, stdout = '', stderr = why, extras, failure } = result ?? {}
  if (state === 'finished') {
    return { type: 'finish', jobUuid, output: { stdout, stderr, artifacts: null, uploadAnswers: null, ...extras } }
  }
  const cause = reason === 'time-limit' ? 'timeout' : reason === 'exit-status' ? 'nonzero-exit' : 'unknown'
  const stage = cause === 'unknown' ? ('unknown' as const) : ('execution' as const)
  const known = failure ?? { reason: cause, stage, message: why, hasPrinted: true }
  const { hasPrinted, ...failed } = known
  const printed = hasPrinted ? { stdout, stderr } : null
  return { type: 'fail', jobUuid, failure: { ...failed, exitStatus, printed } }
}

/** A job breaks in the start-up stage as long as it has not been ready, whatever its executor says. */
function breakdownOf({ reason, result, readyAt }: JobRow, why: string): Breakdown {
  const fault = result?.fault
  const stage = fault === undefined || fault.stage === 'executor-startup' ? 'unknown' : fault.stage
  const code = (reason && FAULTS[reason]) ?? 'generic-error'
  const own = { reporter: 'miner', reason: code, message: why, cause: null } as const
  return { ...(fault ?? own), stage: readyAt === null ? 'executor-startup' : stage }
}
