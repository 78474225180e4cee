import type { JobStatus, V0JobStatusUpdate } from '@horde/protocol/facilitator-validator'
import { SMALL_FRAME_BYTES } from '@horde/protocol/frame'
import { isFinal } from '@horde/protocol/job-state'
import type { JobUuid } from '@horde/protocol/primitives'
import { REASONS, type Reason } from '@horde/protocol/reasons'
import { fitFrame } from '@horde/protocol/shorten'
import type { JobOutcome } from '../db/organic-jobs.ts'
import type { JobEnd, ResultWord } from '../job/job-to-drive.ts'

/** What an update needs beside the miner's texts, in bytes, at most. */
const ENVELOPE_BYTES = 2_000

/** Reasons that the job's time limit brings about. */
const OF_TIME_LIMIT: ReadonlySet<Reason> = new Set(['time-limit', 'run-timed-out'])

/** The executor is ready. */
export function acceptedUpdate(uuid: JobUuid): V0JobStatusUpdate {
  return updateOf(uuid, 'accepted', 'Miner accepted job')
}

/** The job came to nothing, for a reason that people can read. */
export function failedUpdate(uuid: JobUuid, comment: string): V0JobStatusUpdate {
  return updateOf(uuid, 'failed', comment)
}

/**
 * How a job ended, in the facilitator's words: wire specification, section 3.
 *
 * @param limitSeconds how long the job may take; null: not known
 */
export function finalUpdate(
  uuid: JobUuid,
  end: Pick<JobEnd, 'state' | 'reason' | 'word'>,
  limitSeconds: number | null,
): V0JobStatusUpdate {
  const comment = end.reason === null ? 'Miner finished job' : sentenceOf(end.reason, limitSeconds)
  const update = updateOf(uuid, statusOf(end), comment)
  if (!end.word || !update.metadata) return update
  const response = {
    job_uuid: end.word.job_uuid,
    message_type: end.word.message_type,
    docker_process_stderr: end.word.docker_process_stderr,
    docker_process_stdout: end.word.docker_process_stdout,
  }
  const fitted = fitFrame(response, SMALL_FRAME_BYTES - ENVELOPE_BYTES)
  return { ...update, metadata: { ...update.metadata, miner_response: fitted } }
}

/** A reason for people; one that is about the job's time limit with the limit. */
export function sentenceOf(reason: Reason, limitSeconds: number | null): string {
  const sentence = REASONS[reason]
  if (limitSeconds === null || !OF_TIME_LIMIT.has(reason)) return sentence
  return `${sentence.replace(/\.$/, '')}: ${limitSeconds} s.`
}

/** What becomes of a job, or became, as its row says it: for whoever asks for the same uuid again. */
export function updateOfOutcome(uuid: JobUuid, outcome: JobOutcome): V0JobStatusUpdate {
  const { state, reason, stdout, stderr, readyAt } = outcome
  if (!isFinal(state)) {
    if (readyAt !== null) return acceptedUpdate(uuid)
    return failedUpdate(uuid, 'A job with this uuid is being run by somebody else.')
  }
  const texts = { docker_process_stdout: stdout ?? '', docker_process_stderr: stderr ?? '' }
  const isSaid = (state === 'finished' || state === 'failed') && stdout !== null
  const message_type = state === 'finished' ? 'V0JobFinishedRequest' : 'V0JobFailedRequest'
  const exit = { docker_process_exit_status: outcome.exitStatus }
  const word = isSaid ? ({ ...{ message_type, job_uuid: uuid, ...texts }, ...exit } as ResultWord) : null
  return finalUpdate(uuid, { state, reason, word }, outcome.timeoutSeconds)
}

function statusOf({ state, reason }: Pick<JobEnd, 'state' | 'reason'>): JobStatus {
  if (state === 'finished') return 'completed'
  return state === 'rejected' || reason === 'prepare-failed' ? 'rejected' : 'failed'
}

function updateOf(uuid: JobUuid, status: JobStatus, comment: string): V0JobStatusUpdate {
  return { message_type: 'V0JobStatusUpdate', uuid, status, metadata: { comment, miner_response: null } }
}
