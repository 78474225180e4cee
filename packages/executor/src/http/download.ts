/** Downloads a file to this disk, without holding all of it in memory. */
import { open } from 'node:fs/promises'
import { ByteLimitError } from '../zip/byte-limit.ts'
import { follow, type Source } from './follow.ts'
import { PartialFile } from './partial-file.ts'
import { requestError } from './request.ts'
import { type RetryDeps, withRetries } from './retry.ts'

const NOT_MODIFIED = 304

/** The errors of a full or broken disk: another attempt does not help. */
const DISK_ERRORS = ['ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS', 'EIO']

export interface DownloadLimits {
  /** The limit for what comes over the wire, in bytes. */
  maxBytes: number
  allowPrivate: boolean
}

/** What came of a download. */
export interface Downloaded {
  /** Whether the file is still the one with the ETag that the caller knows. Then nothing is stored. */
  isUnchanged: boolean
  /** The file's strong ETag; undefined when the server sends none. */
  etag: string | undefined
}

/**
 * Fetches a URL into a new file. Failures that may be temporary are retried while the stage has time; where the
 * server can tell whether the file is still the same one, a new attempt resumes where the last one ended. Rejects with
 * ByteLimitError, TargetError, RequestError, a disk's error, or the signal's reason.
 *
 * @param known the strong ETag of a copy that the caller has; then the file is only sent if it has another one
 */
export async function download(
  source: Source,
  path: string,
  limits: DownloadLimits,
  deps: RetryDeps,
  signal: AbortSignal,
  known?: string,
): Promise<Downloaded> {
  await using file = await open(path, 'w', 0o600)
  const partial = new PartialFile(file, limits.maxBytes)
  const resume = async () => {
    const asksKnown = known !== undefined && partial.stored === 0
    const options = {
      // A server that compresses on its own would have us store something else than the file.
      headers: { 'Accept-Encoding': 'identity', ...(asksKnown ? { 'If-None-Match': known } : partial.headers) },
      allowPrivate: limits.allowPrivate,
      isAnswer: (status: number) => partial.isAnswer(status) || (asksKnown && status === NOT_MODIFIED),
    }
    const response = await follow(source, options, deps, signal)
    try {
      if (response.statusCode === NOT_MODIFIED) return { isUnchanged: true, etag: known }
      await partial.add(response)
      return { isUnchanged: false, etag: partial.etag }
    } catch (error) {
      signal.throwIfAborted()
      throw isLocal(error) ? error : requestError(error)
    } finally {
      response.destroy()
    }
  }
  return await withRetries('download', deps, signal, resume, () => partial.stored)
}

function isLocal(error: unknown): boolean {
  return error instanceof ByteLimitError || DISK_ERRORS.includes((error as NodeJS.ErrnoException).code ?? '')
}
