/** Link 3 in v2026: reads a user's job, and says how far it is in the words of that dialect. */
import { CLASSES } from '@horde/protocol/classes'
import type { FailReport, FinishReport, JobReport } from '@horde/protocol/job/messages'
import type { Breakdown, FailedJob, HordeFault, JobFailureReason, JobStage } from '@horde/protocol/job/report'
import { jobUuid as jobUuidSchema } from '@horde/protocol/primitives'
import { REASONS, type Reason } from '@horde/protocol/reasons'
import { breakdownToV2026, failureToV2026, finishToV2026 } from '@horde/protocol/v2026/codec/report-codec'
import { uploadsFromV2026 } from '@horde/protocol/v2026/codec/uploads'
import { volumesFromV2026 } from '@horde/protocol/v2026/codec/volumes'
import { DECLINE_WORDS } from '@horde/protocol/v2026/codec/words'
import type { V0JobStatusUpdate, V2JobRequest } from '@horde/protocol/v2026/facilitator-validator'
import { LEEWAY_SECONDS } from '../../jobs/timing/stage-limits.ts'
import type { JobEnd, Progress, UserJob } from '../user-job.ts'
import { fitUpdate } from './fit-update.ts'

/** @param uuid that of the try on one miner */
export function userJobOf(request: Omit<V2JobRequest, 'signature'>, uuid: string): UserJob {
  const { executor_class: executorClass } = request
  return {
    executorClass,
    limits: {
      ...{ kind: 'stages', leeway: LEEWAY_SECONDS, download: request.download_time_limit },
      ...{ execution: request.execution_time_limit, upload: request.upload_time_limit, streamingStart: 0 },
    },
    work: {
      type: 'work',
      jobUuid: jobUuidSchema.parse(uuid),
      image: request.docker_image || null,
      script: null,
      // `use_gpu` is without effect.
      preset: CLASSES[executorClass].preset,
      args: request.args,
      env: request.env,
      volumes: volumesFromV2026(request.volume),
      uploads: uploadsFromV2026(request.output_upload),
      artifactsFolder: request.artifacts_dir || null,
    },
  }
}

type Status = V0JobStatusUpdate['status']
type Details = Partial<NonNullable<V0JobStatusUpdate['metadata']>>

const STEPS = {
  received: 'received',
  accepted: 'accepted',
  ready: 'executor_ready',
  'volumes-ready': 'volumes_ready',
  'execution-done': 'execution_done',
} as const satisfies Record<string, Status>

const FINAL: ReadonlySet<string> = new Set<Status>(['completed', 'rejected', 'failed', 'horde_failed'])

/** Whether an update tells how the job ended. */
export function isFinalStatus(status: string): boolean {
  return FINAL.has(status)
}

/** A stage that a job passes, in their order. */
export type Passed = keyof typeof STEPS

const IN_ORDER = Object.keys(STEPS) as Passed[]

function isPassed(type: string): type is Passed {
  return type in STEPS
}

/**
 * Returns what tells a facilitator of v2026 how far a job is. Stages are told in their order, and no stage after the
 * end. A job that completed has passed every stage, though a v0 miner reports none of them.
 *
 * @param told the last stage that an earlier process told; none by default
 */
export function progressTeller(
  uuid: string,
  send: (update: V0JobStatusUpdate) => void,
  told?: Passed,
): (progress: Progress) => void {
  let next = told === undefined ? 0 : IN_ORDER.indexOf(told) + 1
  let hasEnded = false
  return progress => {
    const { type } = progress
    if (hasEnded) return
    if (isPassed(type)) {
      if (IN_ORDER.indexOf(type) < next) return
      next = IN_ORDER.indexOf(type) + 1
    } else {
      hasEnded = true
      const isFinished = progress.type === 'ended' && progress.end.state === 'finished'
      if (isFinished) for (const stage of IN_ORDER.slice(next)) send(stageUpdate(uuid, stage))
    }
    send(updateFor(uuid, progress))
  }
}

export function stageUpdate(uuid: string, stage: Passed): V0JobStatusUpdate {
  return updateOf(uuid, STEPS[stage], null)
}

function updateFor(uuid: string, progress: Progress): V0JobStatusUpdate {
  switch (progress.type) {
    case 'refused':
      return rejectedUpdate(uuid, 'validator', progress.refusal)
    case 'not-given':
      return hordeUpdate(uuid, 'horde_failed', NOT_GIVEN)
    case 'ended':
      return finalUpdate(uuid, progress.end)
    default:
      return stageUpdate(uuid, progress.type)
  }
}

const NOT_GIVEN: Breakdown = {
  ...{ reporter: 'validator', reason: 'unhandled-exception', stage: 'unknown', cause: null },
  message: 'The validator could not store the job.',
}

function finalUpdate(uuid: string, end: JobEnd): V0JobStatusUpdate {
  const { state, reason, message } = end
  if (state === 'finished') return completedUpdate(uuid, reportIn(end, 'finish'), end)
  if (state === 'failed') return failedUpdate(uuid, reportIn(end, 'fail'), end)
  if (state === 'rejected') {
    const isByValidator = reason === 'not-in-v0'
    const declined = reportIn(end, 'decline')
    const refusal = {
      reason: declined?.reason ?? (isByValidator ? 'no-miner' : reason === 'no-free-executor' ? 'busy' : 'unknown'),
      message: (declined ? declined.message : message) || sentenceOf(reason),
    } as const
    return rejectedUpdate(uuid, isByValidator ? 'validator' : 'miner', refusal)
  }
  return brokenUpdate(uuid, end)
}

function completedUpdate(uuid: string, report: FinishReport | undefined, end: JobEnd): V0JobStatusUpdate {
  const output = report?.output ?? { ...printedIn(end), artifacts: null, uploadAnswers: null }
  const { message_type: _, job_uuid: _of, ...response } = finishToV2026(jobUuidSchema.parse(uuid), output)
  return updateOf(uuid, 'completed', { miner_response: response })
}

const FAILURE_OF: Partial<Record<Reason, JobFailureReason>> = { 'exit-status': 'nonzero-exit', 'time-limit': 'timeout' }

function failedUpdate(uuid: string, report: FailReport | undefined, end: JobEnd): V0JobStatusUpdate {
  const { reason, stage, message, exitStatus, stdout } = end
  const known = report?.failure
  const ended = (reason && FAILURE_OF[reason]) ?? 'unknown'
  // A v0 miner says neither reason nor stage. Its exit status and time limit are about the run.
  const inferred = stage ?? (ended === 'unknown' ? 'unknown' : 'execution')
  const failure: FailedJob = {
    reason: known && known.reason !== 'unknown' ? known.reason : ended,
    stage: known && known.stage !== 'unknown' ? known.stage : inferred,
    message: known?.message || message || sentenceOf(reason),
    exitStatus: known?.exitStatus ?? exitStatus,
    printed: known ? known.printed : stdout === null ? null : printedIn(end),
  }
  const { message_type: _, job_uuid: _of, ...details } = failureToV2026(jobUuidSchema.parse(uuid), failure)
  return updateOf(uuid, 'failed', { job_failure_details: details })
}

/** What the validator itself noticed has the status `failed`, and what a miner reports `horde_failed`. */
function brokenUpdate(uuid: string, end: JobEnd): V0JobStatusUpdate {
  const report = reportIn(end, 'break')
  const message = end.message || sentenceOf(end.reason)
  if (report) return hordeUpdate(uuid, 'horde_failed', { ...report, message: report.message || message })
  const told = { reporter: 'validator', stage: end.stage ?? 'unknown', message, cause: null } as const
  const reason = faultOf(end)
  if (reason === undefined) {
    return hordeUpdate(uuid, 'horde_failed', { ...told, reporter: 'executor', reason: 'generic-error' })
  }
  return hordeUpdate(uuid, 'failed', { ...told, reason })
}

const FAULT_OF_STAGE: Partial<Record<JobStage, HordeFault>> = {
  'volume-download': 'volumes-timed-out',
  'streaming-startup': 'streaming-timed-out',
  execution: 'execution-timed-out',
}

const FAULT_OF: Partial<Record<Reason, HordeFault>> = {
  'no-connection': 'miner-connection-failed',
  'not-authorized': 'miner-connection-failed',
  'connection-lost': 'miner-connection-failed',
  'no-answer': 'answer-timed-out',
  'prepare-timed-out': 'ready-timed-out',
}

/** Returns undefined for what a miner reported in words that v2026 lacks. */
function faultOf({ reason, stage }: JobEnd): HordeFault | undefined {
  if (reason === 'prepare-failed' || reason === 'horde-failed') return undefined
  if (reason === 'run-timed-out') return (stage && FAULT_OF_STAGE[stage]) ?? 'result-timed-out'
  return (reason && FAULT_OF[reason]) ?? 'generic-error'
}

/** The request was not understood, or no miner was given the job. */
export function rejectedUpdate(
  uuid: string,
  rejected_by: 'validator' | 'miner',
  { reason, message }: { reason: keyof typeof DECLINE_WORDS; message: string },
): V0JobStatusUpdate {
  const details = { rejected_by, reason: DECLINE_WORDS[reason], message, context: null }
  return updateOf(uuid, 'rejected', { job_rejection_details: details })
}

function hordeUpdate(uuid: string, status: 'failed' | 'horde_failed', broken: Breakdown): V0JobStatusUpdate {
  const { message_type: _, job_uuid: _of, context, ...details } = breakdownToV2026(jobUuidSchema.parse(uuid), broken)
  const hasContext = broken.stage !== 'unknown' || broken.cause !== null
  return updateOf(uuid, status, { horde_failure_details: { ...details, context: hasContext ? context : null } })
}

function updateOf(uuid: string, status: Status, details: Details | null): V0JobStatusUpdate {
  const metadata = details && { ...NO_DETAILS, ...details }
  return fitUpdate({ message_type: 'V0JobStatusUpdate', uuid, status, metadata })
}

/** Every key is written, as Python validators do. */
const NO_DETAILS = {
  miner_response: null,
  job_rejection_details: null,
  job_failure_details: null,
  horde_failure_details: null,
  streaming_details: null,
}

function reportIn<T extends JobReport['type']>({ report }: JobEnd, type: T) {
  return report?.type === type ? (report as Extract<JobReport, { type: T }>) : undefined
}

function printedIn({ stdout, stderr }: JobEnd) {
  return { stdout: stdout ?? '', stderr: stderr ?? '' }
}

function sentenceOf(reason: Reason | null): string {
  return reason === null ? '' : REASONS[reason]
}
