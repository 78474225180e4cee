import type { ExecutorClass } from '@horde/protocol/classes'
import { CLASSES, DEFAULT_CLASS } from '@horde/protocol/classes'
import { EMPTY_ZIP_BASE64 } from '@horde/protocol/job'
import type { JobUuid } from '@horde/protocol/primitives'
import type { V0InitialJobRequest, V0JobRequest } from '@horde/protocol/validator-miner'

/** One synthetic job's work, and how its answer is judged. Made anew for every job: no two miners get the same. */
export interface Benchmark {
  /** What is measured, for people: `sha256`. */
  readonly name: string
  readonly image: string
  readonly command: readonly string[]
  /** How long the answer may take, in seconds, from the work's sending. */
  readonly timeoutSeconds: number
  isRight(stdout: string): boolean
}

/**
 * What a miner is told before an executor is ready: nothing of the answer.
 *
 * @param executorClass undefined for a miner that told no manifest: it is offered the job as peers of 2024 expect it
 */
export function offerOf(
  benchmark: Benchmark,
  jobUuid: JobUuid,
  executorClass: ExecutorClass | undefined,
): V0InitialJobRequest {
  return {
    message_type: 'V0InitialJobRequest',
    job_uuid: jobUuid,
    base_docker_image_name: benchmark.image,
    timeout_seconds: Math.ceil(benchmark.timeoutSeconds),
    volume_type: 'inline',
    ...(executorClass === undefined ? {} : { executor_class: executorClass }),
  }
}

/** The work itself, which leaves only once an executor is ready. */
export function workOf(benchmark: Benchmark, jobUuid: JobUuid, executorClass: ExecutorClass | undefined): V0JobRequest {
  return {
    message_type: 'V0JobRequest',
    job_uuid: jobUuid,
    docker_image_name: benchmark.image,
    raw_script: null,
    docker_run_options_preset: CLASSES[executorClass ?? DEFAULT_CLASS].preset,
    docker_run_cmd: [...benchmark.command],
    volume: { volume_type: 'inline', contents: EMPTY_ZIP_BASE64 },
    output_upload: null,
  }
}
