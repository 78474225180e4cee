/** Link 3 in v0: reads a user's job, and says how far it is in the words of that dialect. */
import { isExecutorClass } from '@horde/protocol/classes'
import { SMALL_FRAME_BYTES } from '@horde/protocol/frame'
import { NO_UPLOADS, type Uploads } from '@horde/protocol/job/uploads'
import type { Volume } from '@horde/protocol/job/volumes'
import type { JobUuid } from '@horde/protocol/primitives'
import { REASONS, type Reason } from '@horde/protocol/reasons'
import { fitFrame } from '@horde/protocol/shorten'
import type { FacilitatorJobRequest, JobStatus, V0JobStatusUpdate } from '@horde/protocol/v0/facilitator-validator'
import { EMPTY_ZIP_BASE64 } from '@horde/protocol/v0/job'
import type { JobResult } from '../../db/jobs.ts'
import type { UserJob } from '../user-job.ts'

/** @param jobMs how long the job may take as a whole, in ms */
export function userJobOf(request: FacilitatorJobRequest, jobMs: number): UserJob {
  const { executor_class: name } = request
  return {
    executorClass: name && isExecutorClass(name) ? name : undefined,
    limits: { kind: 'run', seconds: Math.ceil(jobMs / 1000) },
    work: {
      type: 'work',
      jobUuid: request.uuid,
      image: request.docker_image || null,
      script: request.raw_script || null,
      preset: request.use_gpu ? 'nvidia_all' : 'none',
      args: request.args,
      env: {},
      volumes: [volumeOf(request)],
      uploads: uploadsOf(request),
      artifactsFolder: null,
    },
  }
}

function uploadsOf({ output_url: url }: FacilitatorJobRequest): Uploads {
  if (url === '') return NO_UPLOADS
  return { files: [], zip: { method: 'PUT', url, name: 'output.zip', format: 'portable' }, afterFailure: true }
}

function volumeOf({ input_url }: FacilitatorJobRequest): Volume {
  if (input_url === '') return { kind: 'inline-zip', base64: EMPTY_ZIP_BASE64, folder: null }
  return { kind: 'zip-url', url: input_url, folder: null }
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
