/** Retries a transfer while its stage has time. */
import type { IncomingMessage } from 'node:http'
import type { Log } from '@horde/kit/log'
import { type BackoffOptions, backoff } from '@horde/kit/reconnect'
import type { Clock } from '@horde/kit/time'
import { RequestError } from './request.ts'

/** The statuses after which a later attempt may succeed. Every other status except success is final. */
const RETRYABLE_STATUSES: readonly number[] = [408, 425, 429, 500, 502, 503, 504]

const PAUSES: BackoffOptions = { minMs: 500, maxMs: 15_000, jitterMs: 500 }

export interface RetryDeps {
  /** How much time the stage has left, in ms. */
  msLeft(): number
  clock: Clock
  log: Log
}

/** Returns how far a transfer has come, in bytes, for a caller that can resume it. */
export type Progress = () => number

/**
 * Repeats an attempt that failed with a retryable RequestError. The pause grows, and is at least as long as the server
 * asks; after an attempt that made progress it is short again. Rejects with the last error as soon as the stage has not
 * enough time left for the next pause, or with the signal's reason when it aborts during one.
 *
 * @param what begins the log lines: 'download', 'upload'
 */
export async function withRetries<T>(
  what: 'download' | 'upload',
  deps: RetryDeps,
  signal: AbortSignal,
  attempt: () => Promise<T>,
  progress: Progress = () => 0,
): Promise<T> {
  const { clock, log } = deps
  let pauses = backoff(PAUSES)
  for (let tries = 1, reached = progress(); ; tries += 1) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof RequestError)) throw error
      if (progress() > reached) pauses = backoff(PAUSES)
      reached = Math.max(reached, progress())
      const pauseMs = pauseBefore(pauses.next().value, error)
      const isFinal = !error.retryable || pauseMs >= deps.msLeft()
      const { status, message: why } = error
      const fields = { status, why, tries, ...(isFinal ? {} : { pauseMs: Math.round(pauseMs) }) }
      log.info(fields, isFinal ? `the ${what} failed` : `the ${what} failed and is tried again`)
      if (isFinal) throw error
      await clock.sleep(pauseMs, signal)
    }
  }
}

/** Waits at least as long as the server asks, plus jitter, so that its clients do not all return at once. */
function pauseBefore(pauseMs: number, { retryAfterMs }: RequestError): number {
  if (retryAfterMs === undefined || retryAfterMs < pauseMs) return pauseMs
  return retryAfterMs + Math.random() * (PAUSES.jitterMs ?? 0)
}

/** Returns the error for an answer without success. */
export function statusError(response: IncomingMessage, now: number, further = ''): RequestError {
  const { statusCode: status = 0 } = response
  const retryable = RETRYABLE_STATUSES.includes(status)
  const retryAfterMs = retryable ? retryAfter(response.headers, now) : undefined
  return new RequestError(`the server answered with status ${status}${further}`, { retryable, status, retryAfterMs })
}

/**
 * How long a server asks clients to wait, in ms: `Retry-After` in seconds or as a date, which is compared with the
 * server's own clock where the answer has it. Undefined when there is no such header, or no valid one.
 *
 * @param now by the wall clock, in ms since the epoch
 */
export function retryAfter({ 'retry-after': text, date }: IncomingMessage['headers'], now: number): number | undefined {
  if (text === undefined) return undefined
  if (/^\s*\d+\s*$/.test(text)) return Number(text) * 1_000
  // Every date format of HTTP begins with the day of the week; Date.parse accepts almost any other text as a date.
  const at = /^\s*[A-Za-z]{3,9},?\s/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(at)) return undefined
  const serverTime = Date.parse(date ?? '')
  return Math.max(0, at - (Number.isNaN(serverTime) ? now : serverTime))
}
