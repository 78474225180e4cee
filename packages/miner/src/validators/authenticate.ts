/** Whether a validator is who it says: every check of the wire, and each signature once. */
import { verifySignature } from '@horde/chain/wallet'
import type { Clock } from '@horde/kit/time'
import { authenticationBytes } from '@horde/protocol/handshake/signing'
import { AUTHENTICATION_WINDOW_SECONDS, type V0AuthenticateRequest } from '@horde/protocol/validator-miner'

/** The refusal that a peer with a slow clock can outwait. */
export const SIGNED_BEFORE_START = 'The timestamp is of before this miner started'

/** Signatures are remembered until no clock in the window can bring them again, in milliseconds. */
const REMEMBER_MS = 2 * AUTHENTICATION_WINDOW_SECONDS * 1000

/** The signatures that were accepted lately. One that comes again is a replay. */
export class SeenSignatures {
  readonly #seen = new Map<string, number>()
  readonly #since: { now: number; monotonic: number }

  /** What an earlier run accepted is not known: what was signed before this one began may be a replay as well. */
  constructor(clock: Clock) {
    this.#since = { now: clock.now(), monotonic: clock.monotonic() }
  }

  /** Whether a signature with this timestamp, in seconds, may have been accepted by an earlier run. */
  mayBeOlder(timestamp: number, clock: Clock): boolean {
    // By then every such signature is too old by itself, and a clock that was set back must not lock everybody out.
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

/** Why an authentication is refused, in words for the peer; undefined when it is good. */
export function refusalOf(request: V0AuthenticateRequest, rules: AuthenticationRules): string | undefined {
  const { payload, signature } = request
  if (payload.validator_hotkey !== rules.claimedHotkey) return 'The validator hotkey is not the one of the URL'
  if (payload.miner_hotkey !== rules.minerHotkey) return 'The miner hotkey is not the one of this miner'
  const offBy = Math.abs(rules.clock.now() / 1000 - payload.timestamp)
  if (offBy > AUTHENTICATION_WINDOW_SECONDS) {
    return `The timestamp is ${Math.round(offBy)} s off; ${AUTHENTICATION_WINDOW_SECONDS} s are allowed`
  }
  if (rules.seen.mayBeOlder(payload.timestamp, rules.clock)) return SIGNED_BEFORE_START
  const bytes = authenticationBytes(payload)
  if (!verifySignature(payload.validator_hotkey, bytes, signature)) return 'The signature does not verify'
  if (!rules.seen.take(signature, rules.clock.now())) return 'The signature was used before'
  return undefined
}
