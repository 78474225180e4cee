/** What a kind of synthetic work is, and how it is said to a miner. */
import { CLASSES, DEFAULT_CLASS, type ExecutorClass } from '@horde/protocol/classes'
import { EMPTY_ZIP_BASE64 } from '@horde/protocol/job'
import type { JobUuid } from '@horde/protocol/primitives'
import type { V0InitialJobRequest, V0JobRequest } from '@horde/protocol/validator-miner'

/** One synthetic job's work. It is plain JSON: the database keeps it until the job has ended. */
export interface Work {
  /** What is measured, for people: `sha256`. */
  readonly label: string
  readonly image: string
  readonly command: readonly string[]
  /** A zip for /volume, in base64; undefined: an empty one. */
  readonly input?: string | undefined
  /** How long the answer may take, in seconds, from the work's sending. */
  readonly timeoutSeconds: number
  /** How long an executor that is just good enough takes, in seconds: what a measured time is compared with. */
  readonly referenceSeconds: number
  /** What `verify` needs to know the right answer again. */
  readonly challenge: { readonly [name: string]: unknown }
}

/** What a job that exited with status 0 gave. */
export interface Answer {
  readonly stdout: string
  readonly stderr: string
}

export interface Judgement {
  /** 0 for a wrong answer, 1 for a right one, or between for one that is right in part. */
  readonly score: number
  /** Why, for people. */
  readonly comment: string
}

/** A kind of synthetic work. An operator's own one is a module whose default export is one of these. */
export interface Benchmark {
  readonly name: string
  /**
   * A new piece of work: no two jobs get the same.
   *
   * @param batchStartMs when the batch started, in ms since the epoch: all jobs of a batch measure the same
   */
  prepare(batchStartMs: number): Work | Promise<Work>
  verify(challenge: Work['challenge'], answer: Answer): Judgement
}

/**
 * What a miner is told before an executor is ready: nothing of the answer.
 *
 * @param executorClass undefined for a miner that told no manifest: it is offered the job as peers of 2024 expect it
 */
export function offerOf(work: Work, jobUuid: JobUuid, executorClass: ExecutorClass | undefined): V0InitialJobRequest {
  return {
    message_type: 'V0InitialJobRequest',
    job_uuid: jobUuid,
    base_docker_image_name: work.image,
    timeout_seconds: Math.ceil(work.timeoutSeconds),
    volume_type: 'inline',
    ...(executorClass === undefined ? {} : { executor_class: executorClass }),
  }
}

/** The work itself, which leaves only once an executor is ready. */
export function workOf(work: Work, jobUuid: JobUuid, executorClass: ExecutorClass | undefined): V0JobRequest {
  return {
    message_type: 'V0JobRequest',
    job_uuid: jobUuid,
    docker_image_name: work.image,
    raw_script: null,
    docker_run_options_preset: CLASSES[executorClass ?? DEFAULT_CLASS].preset,
    docker_run_cmd: [...work.command],
    volume: { volume_type: 'inline', contents: work.input ?? EMPTY_ZIP_BASE64 },
    output_upload: null,
  }
}
