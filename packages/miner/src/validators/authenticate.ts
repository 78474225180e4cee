/** Checks a validator's authentication: whether it is who it claims to be. Each signature counts once. */
import { verifySignature } from '@horde/chain/wallet'
import type { Clock } from '@horde/kit/time'
import { AUTHENTICATION_WINDOW_SECONDS } from '@horde/protocol/v0/validator-miner'
import type { Claim } from './dialects/dialect.ts'

/** Why a connection is refused, for the metric. */
export type RefusalCode =
  | 'unknown-validator'
  | 'inactive-validator'
  | 'no-list-yet'
  | 'too-many-connections'
  | 'not-an-authentication'
  | 'closed'
  | 'too-late'
  | 'other-validator'
  | 'other-miner'
  | 'timestamp'
  | 'signature'
  | 'replay'

export type Refusal = {
  readonly code: RefusalCode
  /** A constant sentence for the log. */
  readonly why: string
  /** The sentence for the peer, with what it sent that was wrong. Default: `why`. */
  readonly details?: string
  /** Set when the peer may succeed later. It gets no error then: peers never try again after an error. */
  readonly mayRetry?: boolean
}

/**
 * How long signatures are remembered, in milliseconds: until their timestamps are too old for every clock in the
 * window.
 */
const REMEMBER_MS = 2 * AUTHENTICATION_WINDOW_SECONDS * 1000

/** The signatures that were accepted lately. One that arrives again is a replay. */
export class SeenSignatures {
  readonly #seen = new Map<string, number>()
  readonly #since: { now: number; monotonic: number }

  /** Signatures that an earlier run accepted are unknown: one from before this run's start may be a replay too. */
  constructor(clock: Clock) {
    this.#since = { now: clock.now(), monotonic: clock.monotonic() }
  }

  /** Whether a signature with this timestamp, in seconds, may have been accepted by an earlier run. */
  mayBeOlder(timestamp: number, clock: Clock): boolean {
    // By then each such signature is too old anyway, and a clock that was set back must not lock out all validators.
    if (clock.monotonic() - this.#since.monotonic > REMEMBER_MS) return false
    return timestamp < Math.floor(this.#since.now / 1000)
  }

  /** True when the signature is new; from then on it is not. */
  take(signature: string, nowMs: number): boolean {
    for (const [old, at] of this.#seen) {
      if (nowMs - at <= REMEMBER_MS) break
      this.#seen.delete(old)
    }
    const key = signature.toLowerCase()
    if (this.#seen.has(key)) return false
    this.#seen.set(key, nowMs)
    return true
  }
}

export type AuthenticationRules = {
  /** The hotkey in the path that the peer dialled. */
  claimedHotkey: string
  minerHotkey: string
  seen: SeenSignatures
  clock: Clock
}

/** Why an authentication is refused; undefined when it is good. The rules are the same for every dialect. */
export function refusalOf(claim: Claim, rules: AuthenticationRules): Refusal | undefined {
  const { validatorHotkey, minerHotkey, timestamp, signature, signedBytes } = claim
  if (validatorHotkey !== rules.claimedHotkey)
    return { code: 'other-validator', why: 'The validator hotkey is not the one of the URL' }
  if (minerHotkey !== rules.minerHotkey)
    return { code: 'other-miner', why: 'The miner hotkey is not the one of this miner' }
  const offBy = Math.abs(rules.clock.now() / 1000 - timestamp)
  if (offBy > AUTHENTICATION_WINDOW_SECONDS) {
    const why = `The timestamp is ${Math.round(offBy)} s off; ${AUTHENTICATION_WINDOW_SECONDS} s are allowed`
    return { code: 'timestamp', why }
  }
  if (rules.seen.mayBeOlder(timestamp, rules.clock))
    return { code: 'timestamp', why: 'The timestamp is of before this miner started', mayRetry: true }
  if (!verifySignature(validatorHotkey, signedBytes, signature))
    return { code: 'signature', why: 'The signature does not verify' }
  if (!rules.seen.take(signature, rules.clock.now())) return { code: 'replay', why: 'The signature was used before' }
  return undefined
}
