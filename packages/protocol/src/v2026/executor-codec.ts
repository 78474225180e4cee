/**
 * Converts between the messages of link 2 in the dialect v2026 and what the executor knows of a job. The executor alone
 * imports it, once a miner has shown that it speaks v2026.
 */
import type { BrokenJob, FailedJob, JobResult, JobStage } from '../job/report.ts'
import type { JobOffer, JobWork, TimeLimits } from '../job/request.ts'
import {
  type FileUpload,
  NO_UPLOADS,
  type UploadAnswer,
  type Uploads,
  type ZipName,
  type ZipUpload,
} from '../job/uploads.ts'
import type { Volume } from '../job/volumes.ts'
import type { JobUuid } from '../primitives.ts'
import type * as wire from './job.ts'
import type { V0HordeFailedRequest, V0JobFailedRequest, V0JobFinishedRequest } from './messages.ts'
import type { V0InitialJobRequest, V0JobRequest } from './miner-executor.ts'
import type { HordeFailureReason, JobFailureReason, JobStage as StageWord } from './words.ts'

export type V2026Answer = V0JobFinishedRequest | V0JobFailedRequest | V0HordeFailedRequest

/** @param jobUuid the message's own, checked */
export function offerFromV2026(message: V0InitialJobRequest, jobUuid: JobUuid): JobOffer {
  const volumes = volumesOf(message.volume)
  return {
    jobUuid,
    executorClass: message.executor_class,
    image: message.docker_image || null,
    limits: limitsOf(message),
    isStreaming: message.streaming_details !== null,
    volumeKind: volumes[0]?.kind ?? null,
    volumes,
  }
}

/** Without limits of its stages, a job has one for all of them. A negative limit leaves no time. */
function limitsOf({ executor_timing: timing, timeout_seconds: whole }: V0InitialJobRequest): TimeLimits {
  if (timing === null) return { kind: 'whole', seconds: whole === null ? null : Math.max(0, whole) }
  return {
    kind: 'stages',
    leeway: Math.max(0, timing.allowed_leeway),
    download: Math.max(0, timing.download_time_limit),
    execution: Math.max(0, timing.execution_time_limit),
    upload: Math.max(0, timing.upload_time_limit),
    streamingStart: Math.max(0, timing.streaming_start_time_limit),
  }
}

/** @param jobUuid the message's own, checked */
export function workFromV2026(message: V0JobRequest, jobUuid: JobUuid): JobWork {
  return {
    jobUuid,
    image: message.docker_image || null,
    script: message.raw_script || null,
    preset: message.docker_run_options_preset,
    args: message.docker_run_cmd,
    env: message.env,
    volumes: volumesOf(message.volume),
    uploads: uploadsOf(message.output_upload),
    artifactsFolder: message.artifacts_dir || null,
  }
}

function volumesOf(volume: wire.Volume | null): Volume[] {
  if (volume === null) return []
  return volume.volume_type === 'multi_volume' ? volume.volumes.map(volumeOf) : [volumeOf(volume)]
}

const REPO_TYPES = ['model', 'dataset', 'space'] as const

function volumeOf(volume: wire.SingleVolume): Volume {
  switch (volume.volume_type) {
    case 'inline':
      return { kind: 'inline-zip', base64: volume.contents, folder: volume.relative_path }
    case 'zip_url':
      return { kind: 'zip-url', url: volume.contents, folder: volume.relative_path }
    case 'single_file':
      return { kind: 'file-url', url: volume.url, path: volume.relative_path }
    case 'huggingface_volume':
      return {
        kind: 'hugging-face',
        repoId: volume.repo_id,
        repoType: REPO_TYPES.find(type => type === volume.repo_type) ?? null,
        revision: volume.revision,
        allowPatterns: typeof volume.allow_patterns === 'string' ? [volume.allow_patterns] : volume.allow_patterns,
        token: volume.token,
        folder: volume.relative_path,
      }
  }
}

function uploadsOf(upload: wire.Upload | null): Uploads {
  if (upload === null) return NO_UPLOADS
  switch (upload.output_upload_type) {
    case 'multi_upload': {
      const zip = upload.system_output === null ? null : zipOf(upload.system_output, 'system_output')
      return { files: upload.uploads.map(fileOf), zip, afterFailure: false }
    }
    case 'single_file_put':
    case 'single_file_post':
      return { files: [fileOf(upload)], zip: null, afterFailure: false }
    default:
      return { files: [], zip: zipOf(upload, 'output.zip'), afterFailure: false }
  }
}

function fileOf(upload: wire.SingleUpload): FileUpload {
  const file = { url: upload.url, path: upload.relative_path, headers: upload.signed_headers ?? {} }
  if (upload.output_upload_type === 'single_file_put') return { ...file, method: 'PUT' }
  return { ...file, method: 'POST', formFields: upload.form_fields ?? {} }
}

function zipOf(upload: wire.ZipUpload, name: ZipName): ZipUpload {
  const zip = { url: upload.url, name, format: 'exact' } as const
  if (upload.output_upload_type === 'zip_and_http_put') return { ...zip, method: 'PUT' }
  return { ...zip, method: 'POST', formFields: upload.form_fields ?? {} }
}

const STAGE_WORDS: Record<JobStage | 'unknown', StageWord> = {
  'executor-startup': 'executor_startup',
  'volume-download': 'volume_download',
  'streaming-startup': 'streaming_startup',
  execution: 'execution',
  'result-upload': 'result_upload',
  unknown: 'unknown',
}

const FAILURE_WORDS: Record<FailedJob['reason'], JobFailureReason> = {
  timeout: 'timeout',
  'nonzero-exit': 'nonzero_return_code',
  'download-failed': 'download_failed',
  'upload-failed': 'upload_failed',
  unknown: 'unknown',
}

const FAULT_WORDS: Record<BrokenJob['reason'], HordeFailureReason> = {
  'generic-error': 'generic_error',
  'unhandled-exception': 'unhandled_exception',
  'streaming-failed': 'streaming_failed',
}

/** Returns the message for the miner. */
export function answerToV2026(jobUuid: JobUuid, result: JobResult): V2026Answer {
  switch (result.end) {
    case 'finished':
      return {
        message_type: 'V0JobFinishedRequest',
        job_uuid: jobUuid,
        docker_process_stdout: result.stdout,
        docker_process_stderr: result.stderr,
        artifacts: result.artifacts ?? {},
        upload_results: Object.fromEntries(Object.entries(result.uploadAnswers ?? {}).map(uploadResult)),
      }
    case 'failed':
      return {
        message_type: 'V0JobFailedRequest',
        job_uuid: jobUuid,
        message: result.message,
        reason: FAILURE_WORDS[result.reason],
        stage: STAGE_WORDS[result.stage],
        docker_process_exit_status: result.exitStatus,
        docker_process_stdout: result.printed?.stdout ?? null,
        docker_process_stderr: result.printed?.stderr ?? null,
        context: null,
      }
    case 'broken':
      return {
        message_type: 'V0HordeFailedRequest',
        job_uuid: jobUuid,
        reported_by: 'executor',
        message: result.message,
        reason: FAULT_WORDS[result.reason],
        context: contextOf(result),
      }
  }
}

function contextOf({ stage, cause }: BrokenJob): Record<string, string> {
  return { ...(cause === null ? {} : { exception_type: cause }), stage: STAGE_WORDS[stage] }
}

function uploadResult([name, { headers, body }]: [string, UploadAnswer]): [string, string] {
  return [name, JSON.stringify({ headers, body })]
}
