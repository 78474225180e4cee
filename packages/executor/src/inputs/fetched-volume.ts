/** What fetching a volume needs, and what comes of it. */
import type { RetryDeps } from '../http/retry.ts'
import type { InputCache } from './cache/input-cache.ts'
import type { InputFile } from './input-tree.ts'
import type { InputBudget } from './limits/input-budget.ts'

export interface FetchDeps extends RetryDeps {
  /** A folder of this machine that only this user may read. */
  folder: string
  budget: InputBudget
  /** Undefined: inputs are not kept for later jobs. */
  cache: InputCache | undefined
  allowPrivate: boolean
  /** Where repositories of Hugging Face are, and the token for a job that brings none. */
  hub: { endpoint: string; token: string | undefined }
}

/** What one volume needs besides: its position, and whether it is the job's only one. */
export interface VolumeDeps extends FetchDeps {
  index: number
  isOnly: boolean
}

/** The contents of a volume on this disk. */
export interface FetchedVolume extends AsyncDisposable {
  /** The folder below /volume that all paths are relative to; empty for /volume itself. */
  folder: string
  folders: readonly string[]
  files: readonly (readonly [path: string, file: InputFile])[]
  /** Ends the unpacking of what takes long. */
  stop?(): void
}
