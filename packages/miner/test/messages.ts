/** The messages of a validator about a job that a test plays. */
import type { V0InitialJobRequest, V0JobRequest } from '@horde/protocol/v0/validator-miner'

export function offerOf(job_uuid: string, changes: Partial<V0InitialJobRequest> = {}): V0InitialJobRequest {
  return {
    message_type: 'V0InitialJobRequest',
    job_uuid: job_uuid as never,
    base_docker_image_name: 'img',
    timeout_seconds: 5,
    volume_type: 'inline',
    executor_class: 'always_on.test',
    ...changes,
  }
}

export function workOf(job_uuid: string, changes: Partial<V0JobRequest> = {}): V0JobRequest {
  return {
    message_type: 'V0JobRequest',
    job_uuid: job_uuid as never,
    docker_image_name: 'img',
    raw_script: null,
    docker_run_options_preset: 'none',
    docker_run_cmd: [],
    volume: { volume_type: 'inline', contents: '' },
    output_upload: null,
    ...changes,
  }
}
