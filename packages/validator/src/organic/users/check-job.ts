/** Checks a user's job before any miner is asked. */
import { type JobUuid, jobUuid } from '@horde/protocol/primitives'
import type { V2JobRequest } from '@horde/protocol/v2026/facilitator-validator'

/** How many volumes, and how many uploads, a job may have. */
const MAX_PARTS = 1_000

const LIMITS = ['download_time_limit', 'execution_time_limit', 'upload_time_limit'] as const

/**
 * Returns what is wrong with a job, with the name of its field; undefined for one that can be run. What the parser
 * refuses is not looked at again.
 *
 * @param maxSeconds how long the three stages may take together
 */
export function problemOf(request: V2JobRequest, maxSeconds: number): string | undefined {
  const { docker_image, env, streaming_details } = request
  if (!isLowerCaseUuid(request.uuid)) return 'uuid: must be a UUID in lower case'
  if (streaming_details !== null) return 'streaming_details: this validator runs no streaming jobs'
  if (docker_image === '') return 'docker_image: must not be empty'
  const names = Object.keys(env)
  if (names.some(name => name === '' || name.includes('='))) return 'env: names must be neither empty nor contain "="'
  return problemOfLimits(request, maxSeconds) ?? problemOfParts(request) ?? problemOfTexts(request)
}

function isLowerCaseUuid(uuid: string): uuid is JobUuid {
  return jobUuid.safeParse(uuid).success && uuid === uuid.toLowerCase()
}

function problemOfLimits(request: V2JobRequest, maxSeconds: number): string | undefined {
  const negative = LIMITS.find(name => request[name] < 0)
  if (negative !== undefined) return `${negative}: must not be negative`
  const seconds = LIMITS.reduce((sum, name) => sum + request[name], 0)
  return seconds > maxSeconds ? `${LIMITS.join(', ')}: must not be more than ${maxSeconds} s together` : undefined
}

function problemOfParts({ volume, output_upload: upload }: V2JobRequest): string | undefined {
  const isLong = (parts: readonly unknown[]) => parts.length > MAX_PARTS
  if (volume?.volume_type === 'multi_volume' && isLong(volume.volumes)) {
    return `volume.volumes: must not be more than ${MAX_PARTS}`
  }
  if (upload?.output_upload_type === 'multi_upload' && isLong(upload.uploads)) {
    return `output_upload.uploads: must not be more than ${MAX_PARTS}`
  }
  return undefined
}

/** Neither programs nor the database can be given NUL or halves of surrogate pairs. */
function problemOfTexts(request: V2JobRequest): string | undefined {
  const fields = ['docker_image', 'args', 'env', 'artifacts_dir', 'volume', 'output_upload'] as const
  const wrong = fields.find(name => !isPassable(request[name]))
  return wrong && `${wrong}: has characters that no program can be given: NUL, or halves of others`
}

function isPassable(value: unknown): boolean {
  if (typeof value === 'string') return !value.includes('\0') && value.isWellFormed()
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([key, entry]) => isPassable(key) && isPassable(entry))
}
