/** What users sign: their jobs and their reports of cheats. */
import { createHash } from 'node:crypto'
import type { JsonObject, JsonValue } from '../../json/read-json.ts'
import { type JsonStyle, quotedInAscii, SORTED, writeJson } from '../../json/write-json.ts'
import type { V2JobRequest } from '../facilitator-validator.ts'

const AS_WRITTEN: JsonStyle = { comma: ',', colon: ':', sorted: false, ascii: false }

const MAX_TIMESTAMP_NS = 2n ** 64n - 1n

/**
 * Returns the text that a user signs for a job: JSON of some fields, once more as a JSON string.
 *
 * @param received the job as the parser received it: the order of keys in `env`, `form_fields` and `signed_headers` is
 *   signed too
 */
export function userJobText(job: V2JobRequest, received: JsonObject): string {
  return quotedInAscii(userJobJson(job, received))
}

/**
 * Returns the JSON inside userJobText. Volumes and uploads stand in it as lists, with the keys of their kind in the
 * order of its schema. The zip of a multi_upload is not signed.
 */
export function userJobJson(job: V2JobRequest, received: JsonObject): string {
  const signed = {
    executor_class: job.executor_class,
    docker_image: job.docker_image,
    args: job.args,
    env: received.get('env'),
    use_gpu: job.use_gpu,
    artifacts_dir: job.artifacts_dir ?? '',
    on_trusted_miner: job.on_trusted_miner,
    download_time_limit: job.download_time_limit,
    execution_time_limit: job.execution_time_limit,
    upload_time_limit: job.upload_time_limit,
    streaming_start_time_limit: job.streaming_start_time_limit,
    streaming_details: job.streaming_details,
    volumes: signedVolumes(job.volume),
    uploads: signedUploads(job.output_upload, received.get('output_upload')),
  }
  return writeJson(signed, AS_WRITTEN)
}

/**
 * Returns the two texts of which a user signs one for a V0JobCheated. Other validators expect the first, while the
 * SDK and the facilitator sign the second: the first once more as a JSON string.
 */
export function userCheatTexts(received: JsonObject): [once: string, twice: string] {
  const fields = ['job_uuid', 'trusted_job_uuid', 'details'] as const
  const once = writeJson(new Map(fields.map(field => [field, received.get(field)])), SORTED)
  return [once, quotedInAscii(once)]
}

/**
 * Returns the 64 bytes that a user's key signs: BLAKE2b-512 of the time in 8 bytes, big-endian, and the text.
 * Undefined when the time does not fit in 8 bytes: no signature is good for it.
 */
export function userDigest(text: string, timestampNs: bigint): Uint8Array | undefined {
  if (timestampNs < 0n || timestampNs > MAX_TIMESTAMP_NS) return undefined
  const time = Buffer.alloc(8)
  time.writeBigUInt64BE(timestampNs)
  return Uint8Array.from(createHash('blake2b512').update(time).update(text).digest())
}

function signedVolumes(volume: V2JobRequest['volume']): object[] {
  if (volume === null) return []
  return volume.volume_type === 'multi_volume' ? volume.volumes : [volume]
}

function signedUploads(upload: V2JobRequest['output_upload'], received: JsonValue | undefined): object[] {
  if (upload === null) return []
  if (upload.output_upload_type !== 'multi_upload') return [withReceivedMaps(upload, received)]
  const list = received instanceof Map ? received.get('uploads') : undefined
  return upload.uploads.map((single, index) => withReceivedMaps(single, Array.isArray(list) ? list[index] : undefined))
}

/** Returns the parsed object with its maps as they were received: objects of JavaScript sort keys such as `10`. */
function withReceivedMaps(parsed: object, received: JsonValue | undefined): object {
  const entries = Object.entries(parsed).map(([key, value]) => {
    const map = received instanceof Map ? received.get(key) : undefined
    return [key, map instanceof Map ? map : value]
  })
  return Object.fromEntries(entries)
}
