/** Downloads a file to this disk, without holding all of it in memory. */
import { open } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { ByteLimitError } from '../zip/byte-limit.ts'
import { PartialFile } from './partial-file.ts'
import { openResponse, RequestError, requestError } from './request.ts'
import { logRefusal } from './response-text.ts'
import { type RetryDeps, statusError, withRetries } from './retry.ts'
import { TargetError } from './targets.ts'

const MAX_REDIRECTS = 5
const REDIRECTS = [301, 302, 303, 307, 308]

/** The errors of a full or broken disk: another attempt does not help. */
const DISK_ERRORS = ['ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS', 'EIO']

export interface DownloadLimits {
  /** The limit for what comes over the wire, in bytes. */
  maxBytes: number
  allowPrivate: boolean
}

/**
 * Fetches a URL into a new file. Failures that may be temporary are retried while the stage has time; where the
 * server can tell whether the file is still the same one, a new attempt resumes where the last one ended. Rejects with
 * ByteLimitError, TargetError, RequestError, a disk's error, or the signal's reason.
 */
export async function download(
  url: string,
  path: string,
  limits: DownloadLimits,
  deps: RetryDeps,
  signal: AbortSignal,
): Promise<void> {
  await using file = await open(path, 'w', 0o600)
  const partial = new PartialFile(file, limits.maxBytes)
  const resume = async () => {
    const response = await follow(url, partial, limits, deps, signal)
    try {
      await partial.add(response)
    } catch (error) {
      signal.throwIfAborted()
      throw isLocal(error) ? error : requestError(error)
    } finally {
      response.destroy()
    }
  }
  await withRetries('download', deps, signal, resume, () => partial.stored)
}

/** Returns the answer to a URL, after its redirects. */
async function follow(
  start: string,
  partial: PartialFile,
  { allowPrivate }: DownloadLimits,
  { clock, log }: RetryDeps,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  let url = start
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    // A server that compresses on its own would have us store something else than the file.
    const headers = { 'Accept-Encoding': 'identity', ...partial.headers }
    const response = await openResponse(url, { method: 'GET', headers, allowPrivate, signal })
    const { statusCode: status = 0 } = response
    if (partial.isAnswer(status)) return response
    const location = REDIRECTS.includes(status) ? response.headers.location : undefined
    if (location === undefined) await logRefusal(response, log, signal)
    response.destroy()
    await partial.checkStatus(status)
    if (location === undefined) throw statusError(response, clock.now())
    url = redirected(url, location)
  }
  throw new RequestError(`more than ${MAX_REDIRECTS} redirects`, { retryable: false })
}

function redirected(from: string, location: string): string {
  const to = URL.parse(location, from)
  if (to === null) throw new TargetError('its redirect is not a URL')
  if (to.protocol === 'http:' && /^https:/i.test(from.trim())) throw new TargetError('it redirects from https to http')
  return to.href
}

function isLocal(error: unknown): boolean {
  return error instanceof ByteLimitError || DISK_ERRORS.includes((error as NodeJS.ErrnoException).code ?? '')
}
