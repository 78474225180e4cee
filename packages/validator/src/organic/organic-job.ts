import type { ExecutorClass } from '@horde/protocol/classes'
import type { FacilitatorJobRequest } from '@horde/protocol/facilitator-validator'
import { EMPTY_ZIP_BASE64, type Preset, type Volume } from '@horde/protocol/job'
import type { V0InitialJobRequest, V0JobRequest } from '@horde/protocol/validator-miner'
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
