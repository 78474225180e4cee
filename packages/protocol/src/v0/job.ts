/** The fields of a job in dialect v0 that are the same on every link. */
import { z } from 'zod'
import { integer, jobUuid, optionalText, text, textList, textMap } from '../primitives.ts'

export const VOLUME_TYPES = ['inline', 'zip_url'] as const
export type VolumeType = (typeof VOLUME_TYPES)[number]
const volumeType = z.enum(VOLUME_TYPES, 'must be "inline" or "zip_url"')

/** `contents` is the base64 of a zip for inline, and the URL of a zip for zip_url. */
export const volume = z.object({ volume_type: volumeType, contents: z.string('must be a string') })
export type Volume = z.output<typeof volume>

/** The base64 of a zip without entries: the inline volume of a job without input. */
export const EMPTY_ZIP_BASE64 = 'UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=='

export const OUTPUT_UPLOAD_TYPES = ['zip_and_http_post', 'zip_and_http_put'] as const

export const outputUpload = z.object({
  output_upload_type: z.enum(OUTPUT_UPLOAD_TYPES, 'must be "zip_and_http_post" or "zip_and_http_put"'),
  url: z.string('must be a string'),
  form_fields: textMap.nullish().transform(value => value ?? null),
})
export type OutputUpload = z.output<typeof outputUpload>

/** The fields of an offer, which holds nothing secret. The miner passes them on to its executor as they are. */
export const offerFields = {
  job_uuid: jobUuid,
  base_docker_image_name: optionalText,
  timeout_seconds: integer
    .refine(seconds => seconds >= 0, 'must not be negative')
    .nullish()
    .transform(value => value ?? null),
  volume_type: volumeType,
}

/** The fields of the work. The miner passes them on to its executor as they are. */
export const workFields = {
  job_uuid: jobUuid,
  docker_image_name: optionalText,
  raw_script: optionalText,
  docker_run_options_preset: text,
  docker_run_cmd: textList,
  volume,
  output_upload: outputUpload.nullish().transform(value => value ?? null),
}

/** What a job's container printed. */
export const outputFields = { docker_process_stdout: text, docker_process_stderr: text }

/** The exit status of a job's container; null when it did not exit by itself. */
export const exitStatus = integer.nullish().transform(value => value ?? null)

type WorkSource = { docker_image_name: string | null; raw_script: string | null }

/** Returns whether a job is either an image or a script, and not both. */
export function hasOneSource(work: WorkSource): boolean {
  return Boolean(work.docker_image_name) !== Boolean(work.raw_script)
}

export const ONE_SOURCE = 'exactly one of docker_image_name and raw_script must be non-empty'

/** An error as free text, on the links validator–miner and miner–executor. */
export const genericError = z.object({ message_type: z.literal('GenericError'), details: optionalText })
export type GenericError = z.output<typeof genericError>
