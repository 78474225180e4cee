import { type Clock, DeadlineError, withDeadline } from '@horde/kit/time'
import { ChainError, type ChainErrorCode } from '../../errors.ts'
import type { Hotkey } from '../../wallet.ts'
import type { Connection, Live } from '../connection.ts'
import { countOf } from '../storage.ts'
import { locate } from './locate.ts'
import { chainErrorOf } from './refusals.ts'
import { type Call, type Included, outcomeIn, type Signed, sendOnce } from './submit.ts'

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

/** After these no pool may have it: it is sent again. */
const LOST: ReadonlySet<ChainErrorCode> = new Set<ChainErrorCode>([
  'InclusionUnknown',
  'Unavailable',
  'Timeout',
  'RpcFailed',
  'BadAnswer',
])

/** How often the chain is asked again when no new block is heard of, in ms. */
const LOOK_EVERY_MS = 2_000

/** After so many block times without a block for the extrinsic the chain is asked. */
const SILENT_BLOCKS = 3
/** A block time where the chain announces none, and the shortest silence, in ms. */
const BLOCK_MS = 12_000
const MIN_SILENCE_MS = 1_000

export type Attempt = {
  /** What is sent, as the runtime of this connection wants it. */
  call(live: Live): Call
  readonly hotkey: Hotkey
  /** What the chain shows: the outcome, when it is as if the sending had succeeded. */
  look(live: Live): Promise<Included | undefined>
  /** How long all of it may take, in ms. */
  readonly timeoutMs: number
  readonly what: string
}

/**
 * Sends an extrinsic and waits for its block. A lost connection, a silent node or the pool's answer may leave it open what
 * became of it. Then the chain is asked, until it shows the outcome or the time is up, and an extrinsic that is in no block
 * is sent again as it is: its nonce lets it in once. When the time is up, the error that left it open is thrown.
 */
export async function sendAndConfirm(connection: Connection, attempt: Attempt, clock: Clock): Promise<Included> {
  const live = await connection.ready()
  const until = clock.monotonic() + attempt.timeoutMs
  let signed: Signed | undefined
  const onSigned = (made: Signed) => {
    // Whoever asked has heard by now that it failed: it must not take effect any more.
    if (clock.monotonic() >= until) throw new ChainError('Timeout', attempt.what)
    signed = made
  }
  try {
    return await withDeadline(sendAndWatch(live, attempt, onSigned, clock), attempt.timeoutMs, attempt.what, clock)
  } catch (cause) {
    if (!signed) throw cause
    const isLate = cause instanceof DeadlineError
    const error = isLate ? new ChainError('InclusionUnknown', cause.message, { cause }) : chainErrorOf(cause)
    if (!UNSURE.has(error.code)) throw error
    error.mayTakeEffect = !VOID.has(error.code)
    return untilKnown(connection, attempt, { signed, error, until }, clock)
  }
}

/** The block of the extrinsic, as long as the node speaks of it. @throws DeadlineError after a silence */
async function sendAndWatch(
  live: Live,
  { call, hotkey }: Attempt,
  onSigned: (signed: Signed) => void,
  clock: Clock,
): Promise<Included> {
  const sent = await sendOnce(live, call(live), hotkey, onSigned)
  try {
    const blockHash = await withDeadline(sent.inBlock, silenceMs(live), 'a block for the extrinsic', clock)
    const end = await outcomeIn(live, sent.hex, blockHash)
    if (end instanceof ChainError) throw end
    return end
  } finally {
    sent.unwatch()
  }
}

function silenceMs({ api }: Live): number {
  const blockMs = 2 * countOf(api.consts.timestamp?.minimumPeriod)
  return Math.max(MIN_SILENCE_MS, SILENT_BLOCKS * (blockMs || BLOCK_MS))
}

type Open = { readonly signed: Signed; readonly error: ChainError; readonly until: number }

/** Asks at once, and again at every new block, or every few seconds, until the chain decides or the time is up. */
async function untilKnown(
  connection: Connection,
  attempt: Attempt,
  { signed, error, until }: Open,
  clock: Clock,
): Promise<Included> {
  let resendAt = LOST.has(error.code) ? clock.monotonic() : Number.POSITIVE_INFINITY
  let refusal: ChainError | undefined
  for (;;) {
    const known = await ask(connection, attempt, signed, clock)
    if (known instanceof ChainError) throw known
    if (typeof known === 'object') return known
    if (known === 'void') throw Object.assign(error, { mayTakeEffect: false })
    const leftMs = until - clock.monotonic()
    if (leftMs <= 0 || DECIDED.has(error.code)) throw error
    // Refused, and still in no block: a copy of it may be in another pool.
    if (known === 'open' && refusal) throw Object.assign(refusal, { mayTakeEffect: true })
    const { live } = connection
    if (known === 'open' && live && clock.monotonic() >= resendAt) {
      refusal = await resend(live, signed)
      resendAt = clock.monotonic() + silenceMs(live)
    }
    // After a refusal the chain is asked at once, unless it could not be asked just now.
    if (!refusal || known === undefined) await nextHead(connection, Math.min(leftMs, LOOK_EVERY_MS), clock)
  }
}

/** What the chain shows, or the refusal that the extrinsic ended with; undefined when it could not be asked. */
async function ask(
  connection: Connection,
  { look, timeoutMs, what }: Attempt,
  signed: Signed,
  clock: Clock,
): Promise<Included | ChainError | 'open' | 'void' | undefined> {
  let live: Live | undefined
  try {
    live = await connection.ready()
    const shown = await withDeadline(look(live), timeoutMs, what, clock)
    return shown ?? (await withDeadline(locate(live, signed), timeoutMs, what, clock))
  } catch (cause) {
    const error = chainErrorOf(cause)
    if (!error.retryable) throw Object.assign(error, { mayTakeEffect: true })
    // A node that is connected and answers nothing: the next connection may be to a better one.
    if (error.code === 'Timeout') await live?.rpc.disconnect()
    return undefined
  }
}

/** Gives it to the pool again. A pool that has it, or that has just seen it in a block, is no refusal. */
async function resend({ rpc }: Live, { hex }: Signed): Promise<ChainError | undefined> {
  try {
    await rpc.send('author_submitExtrinsic', [hex])
    return undefined
  } catch (cause) {
    const error = chainErrorOf(cause)
    return UNSURE.has(error.code) ? undefined : error
  }
}

async function nextHead(connection: Connection, waitMs: number, clock: Clock): Promise<void> {
  const heard = new AbortController()
  const stop = connection.onHead(() => heard.abort())
  await clock.sleep(waitMs, heard.signal).catch(() => {})
  stop()
}
