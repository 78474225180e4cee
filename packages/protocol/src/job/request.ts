/**
 * What a job asks for, in no peer's dialect. The codecs of `v0` and `v2026` convert it where it enters or leaves a
 * wire; the code that drives a job does not know which one a peer speaks.
 */
import type { JobUuid } from '../primitives.ts'
import type { Uploads } from './uploads.ts'
import type { Volume } from './volumes.ts'

/**
 * How long a job may take, in seconds. `run`: from the start of its container to its end; null when the offer names no
 * limit. `whole`: from ready to the result; null when the offer names no limit. `stages`: one running deadline from
 * ready on, to which each stage adds its limit, so that unused time is kept.
 */
export type TimeLimits =
  | { kind: 'run'; seconds: number | null }
  | { kind: 'whole'; seconds: number | null }
  | { kind: 'stages'; leeway: number; download: number; execution: number; upload: number; streamingStart: number }

/** Returns how long a job may take in all, in seconds; null when its offer names no limit. */
export function secondsOf(limits: TimeLimits): number | null {
  if (limits.kind !== 'stages') return limits.seconds
  return limits.leeway + limits.download + limits.execution + limits.upload + limits.streamingStart
}

/** The first message about a job: what an executor can prepare before it has the work. */
export interface JobOffer {
  jobUuid: JobUuid
  /** Null: the miner's default class. */
  executorClass: string | null
  /** The image to have ready. Null: a script's. */
  image: string | null
  limits: TimeLimits
  /** The kind of the work's first volume, which an offer of v0 names. Null: the work has none. */
  volumeKind: Volume['kind'] | null
  /** Whether users connect to the job while it runs. */
  isStreaming: boolean
  /** What the job reads, where the dialect says it here already (v2026); loaded before the work arrives. */
  volumes: Volume[]
}

/** The second message: the work of a job that is ready. */
export interface JobWork {
  jobUuid: JobUuid
  /** Either an image or a script, or, in v2026, both: then the script runs in the image. */
  image: string | null
  /** A Python program. */
  script: string | null
  /** What the job needs of the engine: none or nvidia_all. The executor fails a job with any other preset. */
  preset: string
  /** The command of the container. Empty: the image's own. */
  args: string[]
  env: Record<string, string>
  volumes: Volume[]
  uploads: Uploads
  /** The folder in the container whose small files come back with the result. Null: none. */
  artifactsFolder: string | null
}
