/** A file from the internet onto this disk, without it ever being in memory as a whole. */
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

/** What a disk says that is full or broken; no fault of the server's, and no other try helps. */
const DISK_ERRORS = ['ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS', 'EIO']

export interface DownloadLimits {
  /** Of what comes over the wire. */
  maxBytes: number
  allowPrivate: boolean
}

/**
 * Fetches a URL into a new file. What may have failed by chance is tried again while the stage has time; where the server can
 * tell whether the file is still the same one, a new try goes on where the last one ended. Rejects with ByteLimitError,
 * TargetError, RequestError, a disk's error, or the signal's reason.
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
  const fetchOn = async () => {
    const response = await follow(url, partial, limits, deps, signal)
    try {
      await partial.add(response)
    } catch (error) {
      signal.throwIfAborted()
      throw isOurs(error) ? error : requestError(error)
    } finally {
      response.destroy()
    }
  }
  await withRetries('download', deps, signal, fetchOn, () => partial.stored)
}

/** The answer to a URL, after its redirects. */
async function follow(
  start: string,
  partial: PartialFile,
  { allowPrivate }: DownloadLimits,
  { clock, log }: RetryDeps,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  let url = start
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    // A server that compresses by itself would have something else stored than what was asked for.
    const headers = { 'Accept-Encoding': 'identity', ...partial.headers }
    const response = await openResponse(url, { method: 'GET', headers, allowPrivate, signal })
    const { statusCode: status = 0 } = response
    if (partial.isAnswer(status)) return response
    const location = REDIRECTS.includes(status) ? response.headers.location : undefined
    if (location === undefined) await logRefusal(response, log, signal)
    response.destroy()
    await partial.heed(status)
    if (location === undefined) throw statusError(response, clock.now())
    url = redirected(url, location)
  }
  throw new RequestError(`more than ${MAX_REDIRECTS} redirects`, { retryable: false })
}

function redirected(from: string, location: string): string {
  const to = URL.parse(location, from)
  if (to === null) throw new TargetError('it is redirected to what is not a URL')
  if (to.protocol === 'http:' && /^https:/i.test(from.trim())) throw new TargetError('it leads from https to http')
  return to.href
}

function isOurs(error: unknown): boolean {
  return error instanceof ByteLimitError || DISK_ERRORS.includes((error as NodeJS.ErrnoException).code ?? '')
}
