/** The parts of a job in dialect v2026 that several links share: volumes, uploads, preset and timing limits. */
import { z } from 'zod'
import { PRESETS } from '../job/preset.ts'
import { outputPathProblem } from '../job/uploads.ts'
import { listOf, text, textList, textMapOrNull, textOrNull, whole } from './scalars.ts'

export const preset = z.enum(PRESETS, 'must be "none" or "nvidia_all"')

// Keys stand in the order in which they are signed. Parsed objects keep it.

/** `contents` is the base64 of a zip. It is unpacked below `/volume/<relative_path>`. */
const inlineVolume = z.object({ volume_type: z.literal('inline'), contents: text, relative_path: textOrNull })
/** `contents` is the URL of a zip. */
const zipUrlVolume = z.object({ volume_type: z.literal('zip_url'), contents: text, relative_path: textOrNull })
const singleFileVolume = z.object({ volume_type: z.literal('single_file'), url: text, relative_path: text })
const huggingfaceVolume = z.object({
  volume_type: z.literal('huggingface_volume'),
  repo_id: text,
  repo_type: textOrNull,
  revision: textOrNull,
  relative_path: textOrNull,
  allow_patterns: z
    .union([text, textList], 'must be a string or a list of strings')
    .nullish()
    .transform(value => value ?? null),
  token: textOrNull,
})
const SINGLE_VOLUMES = [inlineVolume, zipUrlVolume, singleFileVolume, huggingfaceVolume] as const
const singleVolume = z.discriminatedUnion('volume_type', SINGLE_VOLUMES, 'must be a known kind of single volume')
export type SingleVolume = z.output<typeof singleVolume>
const multiVolume = z.object({ volume_type: z.literal('multi_volume'), volumes: listOf(singleVolume) })

/** Paths of volumes are not checked here, because peers send any. The executor confines them. */
const volume = z.discriminatedUnion('volume_type', [...SINGLE_VOLUMES, multiVolume], 'must be a known kind of volume')
export type Volume = z.output<typeof volume>
export const volumeOrNull = volume.nullish().transform(value => value ?? null)

const outputPath = text.refine(
  path => outputPathProblem(path) === undefined,
  'must be a plain path below the output folder',
)

const singleFilePut = z.object({
  output_upload_type: z.literal('single_file_put'),
  url: text,
  relative_path: outputPath,
  signed_headers: textMapOrNull,
})
const singleFilePost = z.object({
  output_upload_type: z.literal('single_file_post'),
  url: text,
  form_fields: textMapOrNull,
  relative_path: outputPath,
  signed_headers: textMapOrNull,
})
const SINGLE_UPLOADS = [singleFilePut, singleFilePost] as const
const singleUpload = z.discriminatedUnion('output_upload_type', SINGLE_UPLOADS, 'must be a known kind of single upload')
export type SingleUpload = z.output<typeof singleUpload>

const zipPut = z.object({ output_upload_type: z.literal('zip_and_http_put'), url: text })
const zipPost = z.object({
  output_upload_type: z.literal('zip_and_http_post'),
  url: text,
  form_fields: textMapOrNull,
})
const ZIP_UPLOADS = [zipPut, zipPost] as const
const zipUpload = z.discriminatedUnion('output_upload_type', ZIP_UPLOADS, 'must be a zip upload')
export type ZipUpload = z.output<typeof zipUpload>

const multiUpload = z.object({
  output_upload_type: z.literal('multi_upload'),
  uploads: listOf(singleUpload),
  /** A zip of what the single uploads leave. Without a type it is a POST. */
  system_output: z.preprocess(withZipType, zipUpload.nullish()).transform(value => value ?? null),
})

function withZipType(value: unknown): unknown {
  const isUntyped = typeof value === 'object' && value !== null && !('output_upload_type' in value)
  return isUntyped ? { ...value, output_upload_type: 'zip_and_http_post' } : value
}

const upload = z.discriminatedUnion(
  'output_upload_type',
  [...SINGLE_UPLOADS, ...ZIP_UPLOADS, multiUpload],
  'must be a known kind of upload',
)
export type Upload = z.output<typeof upload>
export const uploadOrNull = upload.nullish().transform(value => value ?? null)

/** Limits of a job's stages, in seconds. One deadline runs on: each stage adds its limit, and unused time is kept. */
const executorTiming = z.object({
  allowed_leeway: whole,
  download_time_limit: whole,
  execution_time_limit: whole,
  upload_time_limit: whole,
  streaming_start_time_limit: whole,
})
export type ExecutorTiming = z.output<typeof executorTiming>
export const executorTimingOrNull = executorTiming.nullish().transform(value => value ?? null)

/** `public_key` is the user's certificate (PEM). `executor_ip` is the address that users reach; the miner sets it. */
const streamingDetails = z.object({ public_key: text, executor_ip: textOrNull })
export const streamingDetailsOrNull = streamingDetails.nullish().transform(value => value ?? null)
