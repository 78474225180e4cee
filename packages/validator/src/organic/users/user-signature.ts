/** Checks what users sign: their jobs, and their reports of cheats. */
import { verifySignature } from '@horde/chain/wallet'
import type { UserSignature } from '@horde/protocol/v2026/facilitator-validator'
import { userDigest } from '@horde/protocol/v2026/signing/user-signature'

export interface SignatureRules {
  /** The keys whose jobs are run. */
  signers: ReadonlySet<string>
  /** How old a signature may be, in ms. Infinite: of any age. */
  maxAgeMs: number
  /** Whether each signature is good for one job. */
  once: boolean
}

/** How far ahead of this machine's clock a user's may be, in ms. */
const MAX_AHEAD_MS = 60_000
const NS_PER_MS = 1_000_000n
const SIGNATURE_BYTES = 64

/** `signed`: names what was signed and by whom, the same for each signature over it. */
export type CheckedSignature = { ok: true; signatory: string; signed: string } | { ok: false; problem: string }

/**
 * Checks a signature over one of some texts. A problem names its field.
 *
 * @param now in ms since 1970
 */
export function checkSignature(
  signature: UserSignature | null,
  texts: readonly string[],
  { signers, maxAgeMs }: SignatureRules,
  now: number,
): CheckedSignature {
  if (signature === null) return refused('signature: is missing')
  const { signature_type, signatory, timestamp_ns } = signature
  if (signature_type !== 'bittensor') return refused('signature.signature_type: must be bittensor')
  if (!signers.has(signatory)) return refused('signature.signatory: is not a key whose jobs this validator runs')
  const ageMs = now - Number(timestamp_ns / NS_PER_MS)
  if (ageMs > maxAgeMs) return refused(`signature.timestamp_ns: is more than ${maxAgeMs / 1000} s ago`)
  if (ageMs < -MAX_AHEAD_MS) return refused('signature.timestamp_ns: is in the future')
  const bytes = Buffer.from(signature.signature, 'base64')
  const hex = `0x${bytes.toString('hex')}`
  const digests = bytes.length === SIGNATURE_BYTES ? texts.map(text => userDigest(text, timestamp_ns)) : []
  const good = digests.find(digest => digest && verifySignature(signatory, digest, hex))
  if (good === undefined) return refused('signature.signature: does not verify')
  return { ok: true, signatory, signed: `${signatory} ${Buffer.from(good).toString('hex')}` }
}

function refused(problem: string): CheckedSignature {
  return { ok: false, problem }
}
