/** Makes a user's request into a job, and what became of it into updates: wire specification, section 3. */
import type { ExecutorClass } from '@horde/protocol/classes'
import type { FacilitatorJobRequest, JobStatus, V0JobStatusUpdate } from '@horde/protocol/facilitator-validator'
import { SMALL_FRAME_BYTES } from '@horde/protocol/frame'
import { EMPTY_ZIP_BASE64, type Preset, type Volume } from '@horde/protocol/job'
import type { JobUuid } from '@horde/protocol/primitives'
import { REASONS, type Reason } from '@horde/protocol/reasons'
import { fitFrame } from '@horde/protocol/shorten'
import type { V0InitialJobRequest, V0JobRequest } from '@horde/protocol/validator-miner'
import type { JobResult } from '../db/jobs.ts'
import { failureReason, type JobSpec, type ResultMessage, type Verdict } from '../jobs/job-spec.ts'

/** How long the stages of an organic job may take, in ms. */
export interface OrganicLimits {
  connectMs: number
  manifestMs: number
  /** From the offer to ready. */
  readyMs: number
  /** The whole job. */
  jobMs: number
}

const NO_SCORE = { score: null, rightAnswer: null, comment: null }

/**
 * Makes a user's request into a job to drive.
 *
 * @param endsAt when the job ends at the latest, in any stage, in ms of the monotonic clock
 */
export function organicJob(
  request: FacilitatorJobRequest,
  limits: OrganicLimits,
  endsAt: number,
  executorClass?: ExecutorClass,
): JobSpec {
  return {
    uuid: request.uuid,
    executorClass,
    offer: offerOf(request, limits, executorClass),
    work: workOf(request),
    judge: (result, seconds) => judge(result, seconds, limits.jobMs / 1000),
    unanswered: NO_SCORE,
    connectMs: limits.connectMs,
    acceptMs: limits.readyMs,
    readyMs: limits.readyMs,
    resultMs: limits.jobMs,
    endsAt,
  }
}

export function presetOf({ use_gpu }: FacilitatorJobRequest): Preset {
  return use_gpu ? 'nvidia_all' : 'none'
}

function offerOf(
  request: FacilitatorJobRequest,
  limits: OrganicLimits,
  executorClass: ExecutorClass | undefined,
): V0InitialJobRequest {
  return {
    message_type: 'V0InitialJobRequest',
    job_uuid: request.uuid,
    base_docker_image_name: request.docker_image || null,
    timeout_seconds: Math.ceil(limits.jobMs / 1000),
    volume_type: volumeOf(request).volume_type,
    ...(executorClass === undefined ? {} : { executor_class: executorClass }),
  }
}

function workOf(request: FacilitatorJobRequest): V0JobRequest {
  const { output_url: url } = request
  return {
    message_type: 'V0JobRequest',
    job_uuid: request.uuid,
    docker_image_name: request.docker_image || null,
    raw_script: request.raw_script || null,
    docker_run_options_preset: presetOf(request),
    docker_run_cmd: request.args,
    volume: volumeOf(request),
    output_upload: url === '' ? null : { output_upload_type: 'zip_and_http_put', url, form_fields: null },
  }
}

function volumeOf({ input_url }: FacilitatorJobRequest): Volume {
  if (input_url === '') return { volume_type: 'inline', contents: EMPTY_ZIP_BASE64 }
  return { volume_type: 'zip_url', contents: input_url }
}

function judge(result: ResultMessage, seconds: number | undefined, timeoutSeconds: number): Verdict {
  if (result.message_type === 'V0JobFinishedRequest') return { ...NO_SCORE, reason: null }
  return { ...NO_SCORE, reason: failureReason(result, seconds, timeoutSeconds) }
}

/** What an update needs beside the miner's texts, in bytes, at most. */
const ENVELOPE_BYTES = 2_000

/** Reasons that name the job's time limit. */
const OF_TIME_LIMIT: ReadonlySet<Reason> = new Set(['time-limit', 'run-timed-out'])

/** The executor is ready. */
export function acceptedUpdate(uuid: JobUuid): V0JobStatusUpdate {
  return updateOf(uuid, 'accepted', 'Miner accepted job')
}

/** The job was not run, for a reason that people can read. */
export function failedUpdate(uuid: JobUuid, comment: string): V0JobStatusUpdate {
  return updateOf(uuid, 'failed', comment)
}

/**
 * Returns the update about a job's end.
 *
 * @param limitSeconds how long the job may take; null: not known
 */
export function finalUpdate(
  uuid: JobUuid,
  { state, reason, stdout, stderr }: Pick<JobResult, 'state' | 'reason' | 'stdout' | 'stderr'>,
  limitSeconds: number | null,
): V0JobStatusUpdate {
  const comment = reason === null ? 'Miner finished job' : sentenceOf(reason, limitSeconds)
  const update = updateOf(uuid, statusOf(state, reason), comment)
  const isAnswered = (state === 'finished' || state === 'failed') && stdout !== null
  if (!isAnswered || !update.metadata) return update
  const response = {
    job_uuid: uuid,
    message_type: state === 'finished' ? 'V0JobFinishedRequest' : 'V0JobFailedRequest',
    docker_process_stderr: stderr ?? '',
    docker_process_stdout: stdout,
  } as const
  const fitted = fitFrame(response, SMALL_FRAME_BYTES - ENVELOPE_BYTES)
  return { ...update, metadata: { ...update.metadata, miner_response: fitted } }
}

/** Returns a reason's sentence, with the job's time limit where the reason is about it. */
function sentenceOf(reason: Reason, limitSeconds: number | null): string {
  const sentence = REASONS[reason]
  if (limitSeconds === null || !OF_TIME_LIMIT.has(reason)) return sentence
  return `${sentence.replace(/\.$/, '')}: ${limitSeconds} s.`
}

function statusOf(state: JobResult['state'], reason: JobResult['reason']): JobStatus {
  if (state === 'finished') return 'completed'
  return state === 'rejected' || reason === 'prepare-failed' ? 'rejected' : 'failed'
}

function updateOf(uuid: JobUuid, status: JobStatus, comment: string): V0JobStatusUpdate {
  return { message_type: 'V0JobStatusUpdate', uuid, status, metadata: { comment, miner_response: null } }
}
