import type { Log } from './log.ts'
import { type Clock, systemClock } from './time.ts'

export interface BackoffOptions {
  /** The first delay, in ms. */
  minMs: number
  /** The longest delay before jitter, in ms. */
  maxMs: number
  /** The factor from one delay to the next; at least 1. Default: 2. */
  factor?: number
  /** A random time up to this, in ms, is added to each delay, so that peers do not come back at once. Default: 0. */
  jitterMs?: number
}

/** Yields endless delays in ms: `minMs · factorⁿ`, at most `maxMs`, plus jitter. */
export function* backoff(options: BackoffOptions, random: () => number = Math.random): Generator<number, never> {
  const { minMs, maxMs, factor = 2, jitterMs = 0 } = options
  for (let delay = minMs; ; delay = Math.min(delay * factor, maxMs)) {
    yield Math.min(delay, maxMs) + random() * jitterMs
  }
}

export interface KeepConnectedOptions<S extends AsyncDisposable> {
  dial(signal: AbortSignal): Promise<S>
  /**
   * Uses the connection until it ends. Returns 'done' when no other connection is needed. It calls `wasOfUse` once the
   * connection has made progress: attempts and delays then start over, however soon the connection ends.
   */
  use(socket: S, signal: AbortSignal, wasOfUse: () => void): Promise<'done' | undefined> | Promise<void>
  backoff: BackoffOptions
  /** How many connections in a row may fail, or end before they are stable. Default: no limit. */
  maxAttempts?: number
  /** After this uptime of a connection, in ms, attempts and delays start over. */
  stableMs: number
  /** Returns true for an error after which a retry is useless, such as a refusal. */
  isFinal?(error: unknown): boolean
  clock?: Clock
  log: Log
  signal: AbortSignal
}

/**
 * Keeps one connection: dials, calls `use`, closes, waits, and dials again. Returns when `use` is done, the signal
 * aborts, an error is final, or too many attempts in a row failed.
 */
export async function keepConnected<S extends AsyncDisposable>(
  options: KeepConnectedOptions<S>,
): Promise<'done' | 'aborted' | 'gave up'> {
  const { log, signal, stableMs, clock = systemClock, maxAttempts = Number.POSITIVE_INFINITY } = options
  let delays = backoff(options.backoff)
  let attempts = 0
  while (!signal.aborted) {
    const round = await connectOnce(options, clock)
    if (round.done) return 'done'
    if (signal.aborted) break
    if (round.wasOfUse || round.livedMs >= stableMs) {
      delays = backoff(options.backoff)
      attempts = 0
    }
    attempts += 1
    const isFinal = round.error !== undefined && options.isFinal?.(round.error) === true
    if (isFinal || attempts >= maxAttempts) {
      log.error({ err: round.error, attempts }, 'connection given up')
      return 'gave up'
    }
    const delayMs = Math.round(delays.next().value)
    log.warn(
      { err: round.error, attempts, livedMs: Math.round(round.livedMs), delayMs },
      'connection lost, trying again',
    )
    await clock.sleep(delayMs, signal).catch(() => {})
  }
  return 'aborted'
}

interface Round {
  done: boolean
  livedMs: number
  wasOfUse: boolean
  error?: unknown
}

async function connectOnce<S extends AsyncDisposable>(options: KeepConnectedOptions<S>, clock: Clock): Promise<Round> {
  let openedAt: number | undefined
  let wasOfUse = false
  const livedMs = () => (openedAt === undefined ? 0 : clock.monotonic() - openedAt)
  try {
    await using socket = await options.dial(options.signal)
    openedAt = clock.monotonic()
    const outcome = await options.use(socket, options.signal, () => {
      wasOfUse = true
    })
    return { done: outcome === 'done', livedMs: livedMs(), wasOfUse }
  } catch (error) {
    return { done: false, livedMs: livedMs(), wasOfUse, error }
  }
}
