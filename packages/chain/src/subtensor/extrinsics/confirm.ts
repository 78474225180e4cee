import { type Clock, DeadlineError, withDeadline } from '@horde/kit/time'
import type { BlockRef } from '../../chain.ts'
import { ChainError, type ChainErrorCode } from '../../errors.ts'
import type { Hotkey } from '../../wallet.ts'
import type { Connection, NodeConnection } from '../connection.ts'
import { countOf } from '../storage.ts'
import { type Location, locate } from './locate.ts'
import { chainErrorOf } from './refusals.ts'
import { type Call, readOutcome, type SignedExtrinsic, signAndSubmit } from './submit.ts'

/** After these errors the extrinsic may or may not be in a block, or get into one: only the chain knows. */
const OUTCOME_UNKNOWN: ReadonlySet<ChainErrorCode> = new Set<ChainErrorCode>([
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

/** After these errors the chain is asked only once: the extrinsic has left the pool, so nothing will change. */
const ASK_ONCE: ReadonlySet<ChainErrorCode> = new Set<ChainErrorCode>(['NotIncluded', 'StaleNonce', 'Banned'])

/** After these errors the extrinsic can no longer be included, because its nonce is used. */
const NONCE_USED: ReadonlySet<ChainErrorCode> = new Set<ChainErrorCode>(['StaleNonce'])

/** After these errors the extrinsic may have reached no pool at all, so it is sent again. */
const MAYBE_NEVER_SENT: ReadonlySet<ChainErrorCode> = new Set<ChainErrorCode>([
  'InclusionUnknown',
  'Unavailable',
  'Timeout',
  'RpcFailed',
  'BadAnswer',
])

/** How often the chain is asked when no new block arrives, in ms. */
const ASK_EVERY_MS = 2_000

/** Block times to wait for the node to report a block, before the chain is asked. */
const SILENT_BLOCKS = 3
/** The block time to assume on a chain that announces none, in ms. */
const DEFAULT_BLOCK_MS = 12_000
/** The shortest wait for the node to report a block, in ms. */
const MIN_SILENCE_MS = 1_000

/** An extrinsic to send. */
export type Submission = {
  /** Builds the call for the runtime of this connection. */
  call(node: NodeConnection): Call
  readonly hotkey: Hotkey
  /** Returns the block in which the chain already shows the wanted outcome; undefined if it does not show it. */
  findOutcome(node: NodeConnection): Promise<BlockRef | undefined>
  /** Time limit for the whole submission, in ms. */
  readonly timeoutMs: number
  /** The call's name, for error messages. */
  readonly what: string
}

/**
 * Sends an extrinsic and returns the block that includes it.
 *
 * A lost connection, a silent node or the pool's answer can leave the outcome unknown. Then it asks the chain until the
 * outcome shows or the time is up. While the extrinsic is in no block it is sent again unchanged: its nonce makes sure
 * that it takes effect at most once.
 *
 * @throws ChainError when the chain refused the extrinsic. When the time is up: the error that left the outcome
 * unknown.
 */
export async function sendAndConfirm(connection: Connection, submission: Submission, clock: Clock): Promise<BlockRef> {
  const node = await connection.ready()
  const until = clock.monotonic() + submission.timeoutMs
  let signed: SignedExtrinsic | undefined
  const onSigned = (extrinsic: SignedExtrinsic) => {
    // By now the caller has an error that says the call failed, so the call must no longer take effect.
    if (clock.monotonic() >= until) throw new ChainError('Timeout', submission.what)
    signed = extrinsic
  }
  try {
    const sending = sendAndWatch(node, submission, onSigned, clock)
    return await withDeadline(sending, submission.timeoutMs, submission.what, clock)
  } catch (cause) {
    if (!signed) throw cause
    const isLate = cause instanceof DeadlineError
    const error = isLate ? new ChainError('InclusionUnknown', cause.message, { cause }) : chainErrorOf(cause)
    if (!OUTCOME_UNKNOWN.has(error.code)) throw error
    error.mayTakeEffect = !NONCE_USED.has(error.code)
    return askUntilKnown(connection, submission, { signed, error, until }, clock)
  }
}

/**
 * Sends the extrinsic and returns its block.
 * @throws DeadlineError when the node reports no block for some block times
 */
async function sendAndWatch(
  node: NodeConnection,
  { call, hotkey }: Submission,
  onSigned: (signed: SignedExtrinsic) => void,
  clock: Clock,
): Promise<BlockRef> {
  const sent = await signAndSubmit(node, call(node), hotkey, onSigned)
  try {
    const blockHash = await withDeadline(sent.inBlock, silenceMs(node), 'a block for the extrinsic', clock)
    const outcome = await readOutcome(node, sent.hex, blockHash)
    if (outcome instanceof ChainError) throw outcome
    return outcome
  } finally {
    sent.unwatch()
  }
}

/** Returns how long the node may stay silent about an extrinsic before the chain is asked, in ms. */
function silenceMs({ api }: NodeConnection): number {
  const blockMs = 2 * countOf(api.consts.timestamp?.minimumPeriod)
  return Math.max(MIN_SILENCE_MS, SILENT_BLOCKS * (blockMs || DEFAULT_BLOCK_MS))
}

type UnknownOutcome = { readonly signed: SignedExtrinsic; readonly error: ChainError; readonly until: number }

/** Asks the chain at once, and again at every new block or every few seconds, until it knows or the time is up. */
async function askUntilKnown(
  connection: Connection,
  submission: Submission,
  { signed, error, until }: UnknownOutcome,
  clock: Clock,
): Promise<BlockRef> {
  let resendAt = MAYBE_NEVER_SENT.has(error.code) ? clock.monotonic() : Number.POSITIVE_INFINITY
  let refusal: ChainError | undefined
  for (;;) {
    const outcome = await askChain(connection, submission, signed, clock)
    if (outcome instanceof ChainError) throw outcome
    if (typeof outcome === 'object') return outcome
    if (outcome === 'void') throw Object.assign(error, { mayTakeEffect: false })
    const leftMs = until - clock.monotonic()
    if (leftMs <= 0 || ASK_ONCE.has(error.code)) throw error
    // The pool refused it and it is in no block, but another node's pool may hold a copy.
    if (outcome === 'pending' && refusal) throw Object.assign(refusal, { mayTakeEffect: true })
    const node = connection.current
    if (outcome === 'pending' && node && clock.monotonic() >= resendAt) {
      refusal = await resend(node, signed)
      resendAt = clock.monotonic() + silenceMs(node)
    }
    // After a refusal, ask again at once, unless the chain could not be asked just now.
    if (!refusal || outcome === undefined) await nextHead(connection, Math.min(leftMs, ASK_EVERY_MS), clock)
  }
}

/** Returns what the chain shows of an extrinsic; undefined when it could not be asked. */
async function askChain(
  connection: Connection,
  { findOutcome, timeoutMs, what }: Submission,
  signed: SignedExtrinsic,
  clock: Clock,
): Promise<Location | undefined> {
  let node: NodeConnection | undefined
  try {
    node = await connection.ready()
    const block = await withDeadline(findOutcome(node), timeoutMs, what, clock)
    return block ?? (await withDeadline(locate(node, signed), timeoutMs, what, clock))
  } catch (cause) {
    const error = chainErrorOf(cause)
    if (!error.retryable) throw Object.assign(error, { mayTakeEffect: true })
    // The node is connected but does not answer. The next connection may be to a better one.
    if (error.code === 'Timeout') await node?.rpc.disconnect()
    return undefined
  }
}

/** Gives the extrinsic to the pool again. Returns an error only when the pool refuses it for good. */
async function resend({ rpc }: NodeConnection, { hex }: SignedExtrinsic): Promise<ChainError | undefined> {
  try {
    await rpc.send('author_submitExtrinsic', [hex])
    return undefined
  } catch (cause) {
    const error = chainErrorOf(cause)
    return OUTCOME_UNKNOWN.has(error.code) ? undefined : error
  }
}

/** Waits for the next best block, at most `waitMs`. */
async function nextHead(connection: Connection, waitMs: number, clock: Clock): Promise<void> {
  const newHead = new AbortController()
  const stop = connection.onHead(() => newHead.abort())
  await clock.sleep(waitMs, newHead.signal).catch(() => {})
  stop()
}
