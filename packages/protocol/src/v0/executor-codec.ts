/**
 * Converts between the messages of link 2 in the dialect v0 and what the executor knows of a job. The executor alone
 * imports it, once a miner has shown that it speaks v0.
 */
import type { JobResult } from '../job/report.ts'
import type { JobOffer, JobWork } from '../job/request.ts'
import { NO_UPLOADS, type Uploads } from '../job/uploads.ts'
import type { OutputUpload } from '../job.ts'
import type { V0FailedRequest, V0FinishedRequest, V0PrepareJobRequest, V0RunJobRequest } from '../miner-executor.ts'
import type { JobUuid } from '../primitives.ts'

export type V0Answer = V0FinishedRequest | V0FailedRequest | { message_type: 'V0FailedToPrepare'; job_uuid: JobUuid }

export function offerFromV0(message: V0PrepareJobRequest): JobOffer {
  return {
    jobUuid: message.job_uuid,
    executorClass: null,
    image: message.base_docker_image_name || null,
    limits: { kind: 'run', seconds: message.timeout_seconds },
    isStreaming: false,
    volumes: [],
  }
}

export function workFromV0({ volume, ...message }: V0RunJobRequest): JobWork {
  return {
    jobUuid: message.job_uuid,
    image: message.docker_image_name || null,
    script: message.raw_script || null,
    preset: message.docker_run_options_preset,
    args: message.docker_run_cmd,
    env: {},
    volumes: [
      volume.volume_type === 'inline'
        ? { kind: 'inline-zip', base64: volume.contents, folder: null }
        : { kind: 'zip-url', url: volume.contents, folder: null },
    ],
    uploads: message.output_upload === null ? NO_UPLOADS : uploadsOf(message.output_upload),
    artifactsFolder: null,
  }
}

function uploadsOf({ output_upload_type, url, form_fields }: OutputUpload): Uploads {
  const target = { url, name: 'output.zip', format: 'portable' } as const
  const zip =
    output_upload_type === 'zip_and_http_post'
      ? { ...target, method: 'POST' as const, formFields: form_fields ?? {} }
      : { ...target, method: 'PUT' as const }
  return { files: [], zip, afterFailure: true }
}

/** Returns the message for the miner. A job that did not run has the reason as its stdout. */
export function answerToV0(jobUuid: JobUuid, result: JobResult): V0Answer {
  if (result.end === 'broken' && result.stage === 'executor-startup') {
    return { message_type: 'V0FailedToPrepare', job_uuid: jobUuid }
  }
  if (result.end === 'finished') {
    return { message_type: 'V0FinishedRequest', job_uuid: jobUuid, ...textsOf(result) }
  }
  return {
    message_type: 'V0FailedRequest',
    docker_process_exit_status: result.exitStatus,
    timeout: result.end === 'failed' && result.reason === 'timeout' && result.stage === 'execution',
    job_uuid: jobUuid,
    ...textsOf(result.printed ?? notRun(result)),
  }
}

function notRun(result: Exclude<JobResult, { end: 'finished' }>) {
  if (result.end === 'failed') return { stdout: result.message, stderr: '' }
  return { stdout: '', stderr: `${result.message}\n` }
}

function textsOf({ stdout, stderr }: { stdout: string; stderr: string }) {
  return { docker_process_stdout: stdout, docker_process_stderr: stderr }
}
