/** Converts the parts of a job that links 1 and 2 share between v0 and the vocabulary in ../job. */

import type { FailedJob, JobOutput, Printed } from '../job/report.ts'
import { type JobOffer, type JobWork, secondsOf } from '../job/request.ts'
import { NO_UPLOADS, type Uploads, type ZipUpload } from '../job/uploads.ts'
import type { Volume } from '../job/volumes.ts'
import type { JobUuid } from '../primitives.ts'
import { EMPTY_ZIP_BASE64, type OutputUpload, type Volume as V0Volume, type VolumeType } from './job.ts'

/** The fields of an offer on both links. */
export interface V0Offer {
  job_uuid: JobUuid
  base_docker_image_name: string | null
  timeout_seconds: number | null
  volume_type: VolumeType
}

/** The fields of the work on both links. */
export interface V0Work {
  job_uuid: JobUuid
  docker_image_name: string | null
  raw_script: string | null
  docker_run_options_preset: string
  docker_run_cmd: string[]
  volume: V0Volume
  output_upload: OutputUpload | null
}

/** The job asks for something that v0 cannot express. */
export class NotInV0Error extends Error {
  override readonly name = 'NotInV0Error'
}

export function offerFromV0(offer: V0Offer, executorClass: string | null): JobOffer {
  return {
    jobUuid: offer.job_uuid,
    executorClass,
    image: offer.base_docker_image_name || null,
    limits: { kind: 'run', seconds: offer.timeout_seconds },
    isStreaming: false,
    volumeKind: offer.volume_type === 'inline' ? 'inline-zip' : 'zip-url',
    volumes: [],
  }
}

/** Stage limits become one limit: their sum. */
export function offerToV0({ jobUuid, image, limits, volumeKind }: JobOffer): V0Offer {
  return {
    job_uuid: jobUuid,
    base_docker_image_name: image,
    timeout_seconds: secondsOf(limits),
    volume_type: volumeKind === 'zip-url' ? 'zip_url' : 'inline',
  }
}

export function workFromV0(work: V0Work): JobWork {
  return {
    jobUuid: work.job_uuid,
    image: work.docker_image_name || null,
    script: work.raw_script || null,
    preset: work.docker_run_options_preset,
    args: work.docker_run_cmd,
    env: {},
    volumes: [volumeFromV0(work.volume)],
    uploads: uploadsFromV0(work.output_upload),
    artifactsFolder: null,
  }
}

/** Throws NotInV0Error: ask `v0Obstacle` first. */
export function workToV0(work: JobWork): V0Work {
  const obstacle = v0Obstacle(work)
  if (obstacle !== undefined) throw new NotInV0Error(`a v0 peer cannot be sent ${obstacle}`)
  return {
    job_uuid: work.jobUuid,
    docker_image_name: work.image,
    raw_script: work.script,
    docker_run_options_preset: work.preset,
    docker_run_cmd: work.args,
    volume: volumeToV0(work.volumes[0]),
    output_upload: uploadToV0(work.uploads),
  }
}

/** Returns the part of a job that v0 cannot express, for people; undefined when it can express all of it. */
export function v0Obstacle({ image, script, env, volumes, uploads, artifactsFolder }: JobWork): string | undefined {
  if (image !== null && script !== null) return 'a script together with an image'
  if (Object.keys(env).length > 0) return 'environment variables'
  if (artifactsFolder !== null) return 'an artifacts folder'
  if (uploads.files.length > 0) return 'uploads of single files'
  if (volumes.length > 1) return 'more than one volume'
  for (const volume of volumes) {
    if (volume.kind === 'file-url') return 'a volume that is a single file'
    if (volume.kind === 'hugging-face') return 'a volume from Hugging Face'
    if (volume.folder) return 'a volume in a folder of its own'
  }
  return undefined
}

function volumeFromV0({ volume_type, contents }: V0Volume): Volume {
  if (volume_type === 'inline') return { kind: 'inline-zip', base64: contents, folder: null }
  return { kind: 'zip-url', url: contents, folder: null }
}

function volumeToV0(volume: Volume | undefined): V0Volume {
  if (volume?.kind === 'zip-url') return { volume_type: 'zip_url', contents: volume.url }
  return { volume_type: 'inline', contents: volume?.kind === 'inline-zip' ? volume.base64 : EMPTY_ZIP_BASE64 }
}

function uploadsFromV0(upload: OutputUpload | null): Uploads {
  if (upload === null) return NO_UPLOADS
  const { url, form_fields } = upload
  const target = { url, name: 'output.zip', format: 'portable' } as const
  if (upload.output_upload_type === 'zip_and_http_put') return zipUpload({ ...target, method: 'PUT' })
  return zipUpload({ ...target, method: 'POST', formFields: form_fields ?? {} })
}

function zipUpload(zip: ZipUpload): Uploads {
  return { files: [], zip, afterFailure: true }
}

function uploadToV0({ zip }: Uploads): OutputUpload | null {
  if (zip === null) return null
  if (zip.method === 'PUT') return { output_upload_type: 'zip_and_http_put', url: zip.url, form_fields: null }
  return { output_upload_type: 'zip_and_http_post', url: zip.url, form_fields: zip.formFields }
}

interface V0Output {
  docker_process_stdout: string
  docker_process_stderr: string
}

export function outputFromV0({ docker_process_stdout, docker_process_stderr }: V0Output): JobOutput {
  return { stdout: docker_process_stdout, stderr: docker_process_stderr, artifacts: null, uploadAnswers: null }
}

export function printedToV0({ stdout, stderr }: Printed): V0Output {
  return { docker_process_stdout: stdout, docker_process_stderr: stderr }
}

/** A v0 peer reports neither stage nor reason, only the exit status and, ours, whether the time limit ended the job. */
export function failureFromV0(exitStatus: number | null, timedOut: boolean, output: V0Output): FailedJob {
  const reason = timedOut ? 'timeout' : exitStatus === null ? 'unknown' : 'nonzero-exit'
  const printed = { stdout: output.docker_process_stdout, stderr: output.docker_process_stderr }
  return { reason, stage: 'unknown', message: '', exitStatus, printed }
}
