import { type Clock, DeadlineError, withDeadline } from '@horde/kit/time'
import { ChainError, type ChainErrorCode } from '../../errors.ts'
import type { Connection, Live } from '../connection.ts'
import { chainErrorOf } from './refusals.ts'
import type { Included } from './submit.ts'

/** After these nobody knows whether the extrinsic, or its twin, was or will be included: the chain has to say. */
const UNSURE: ReadonlySet<ChainErrorCode> = new Set<ChainErrorCode>([
  'AlreadyImported',
  'PriorityTooLow',
  'Banned',
  'StaleNonce',
  'NotIncluded',
  'InclusionUnknown',
  'Unavailable',
  'Timeout',
  'RpcFailed',
  'BadAnswer',
])

/** Of these one look is enough: the extrinsic is out of the pool, and what took its place is in the chain. */
const DECIDED: ReadonlySet<ChainErrorCode> = new Set<ChainErrorCode>(['NotIncluded', 'StaleNonce', 'Banned'])

/** Of these the extrinsic itself is void: its nonce is used. */
const VOID: ReadonlySet<ChainErrorCode> = new Set<ChainErrorCode>(['StaleNonce'])

/** How often the chain is asked again when no new block is heard of, in ms. */
const LOOK_EVERY_MS = 2_000

export type Attempt<T> = {
  /** Sends it, and says so at the moment from which on it may take effect. */
  send(live: Live, onSent: () => void): Promise<T>
  /** What the chain shows: the outcome, when it is as if the sending had succeeded. */
  look(live: Live): Promise<T | undefined>
  /** How long all of it may take, in ms. */
  readonly timeoutMs: number
  readonly what: string
}

/**
 * Sends, and where the answer leaves it open whether that worked, lets the chain say: until it shows the outcome or
 * the time is up. Then the error that left it open is thrown.
 */
export async function sendAndConfirm<T = Included>(
  connection: Connection,
  attempt: Attempt<T>,
  clock: Clock,
): Promise<T> {
  const live = await connection.ready()
  const until = clock.monotonic() + attempt.timeoutMs
  let isSent = false
  const onSent = () => {
    // Whoever asked has heard by now that it failed: it must not take effect any more.
    if (clock.monotonic() >= until) throw new ChainError('Timeout', attempt.what)
    isSent = true
  }
  try {
    return await withDeadline(attempt.send(live, onSent), attempt.timeoutMs, attempt.what, clock)
  } catch (cause) {
    if (!isSent) throw cause
    const isLate = cause instanceof DeadlineError
    const error = isLate ? new ChainError('InclusionUnknown', cause.message, { cause }) : chainErrorOf(cause)
    if (!UNSURE.has(error.code)) throw error
    error.mayTakeEffect = !VOID.has(error.code)
    const shown = await lookUntil(connection, attempt, DECIDED.has(error.code) ? 0 : until, clock).catch(failed => {
      throw Object.assign(chainErrorOf(failed), { mayTakeEffect: error.mayTakeEffect })
    })
    if (shown !== undefined) return shown
    throw error
  }
}

/** Looks at once, and again at every new block, or every few seconds, until the time is up. */
async function lookUntil<T>(
  connection: Connection,
  attempt: Attempt<T>,
  until: number,
  clock: Clock,
): Promise<T | undefined> {
  for (;;) {
    const shown = await lookOnce(connection, attempt, clock)
    if (shown !== undefined) return shown
    const leftMs = until - clock.monotonic()
    if (leftMs <= 0) return undefined
    await nextHead(connection, Math.min(leftMs, LOOK_EVERY_MS), clock)
  }
}

async function lookOnce<T>(
  connection: Connection,
  { look, timeoutMs, what }: Attempt<T>,
  clock: Clock,
): Promise<T | undefined> {
  try {
    const live = await connection.ready()
    return await withDeadline(look(live), timeoutMs, what, clock)
  } catch (error) {
    // An outage in the middle of it: the next look, or the end of the time, decides.
    if (chainErrorOf(error).retryable) return undefined
    throw error
  }
}

async function nextHead(connection: Connection, waitMs: number, clock: Clock): Promise<void> {
  const heard = new AbortController()
  const stop = connection.onHead(() => heard.abort())
  await clock.sleep(waitMs, heard.signal).catch(() => {})
  stop()
}
