/** Checks what a validator of v2026 proves: that it sent an offer or work itself, and the receipt of the offer. */
import { type Hotkey, verifySignature } from '@horde/chain/wallet'
import type { Clock } from '@horde/kit/time'
import type { JobOffer } from '@horde/protocol/job/request'
import type { OfferReceipt } from '@horde/protocol/v2026/codec/request-codec'
import type { ReceiptPayload } from '@horde/protocol/v2026/receipts/payloads'
import { millisecondsOf } from '@horde/protocol/v2026/receipts/times'
import { receiptText } from '@horde/protocol/v2026/signing/signed-texts'
import type { SignedReceipt } from '../db/schema.ts'
import type { Proof } from '../validators/dialects/dialect.ts'
import type { Pins } from './pins.ts'

/** How old the receipt of an offer may be, in milliseconds: an old one may be a replay. */
const MAX_AGE_MS = 60_000
/** How far ahead its time may be, in milliseconds: validators skip receipts that are further ahead. */
const MAX_AHEAD_MS = 3_600_000
/** Stands for the hotkey of a trusted miner. */
const TRUSTED_MINER = '0'.repeat(48)

export type ProofRules = {
  hotkey: Hotkey
  /** Whether receipts may name a trusted miner in place of this one. */
  isTrustedMiner: boolean
  /** From when on unsigned frames are refused, in ms since the epoch. Undefined: never. */
  signedFromMs: number | undefined
  pins: Pins
  clock: Clock
}

export const SIGNATURE_PROBLEMS = ['invalid-signature', 'unsigned'] as const

export type SignatureProblem = (typeof SIGNATURE_PROBLEMS)[number]

/**
 * Returns why an offer or work does not count as its validator's; undefined when it does.
 *
 * @param job that the frame is about, if it is known
 */
export async function signatureProblem(
  { signature, signedText }: Proof,
  validator: string,
  job: { isSigned: boolean } | undefined,
  { signedFromMs, pins, clock }: ProofRules,
): Promise<SignatureProblem | undefined> {
  if (signature === null) {
    const isRequired = signedFromMs !== undefined && clock.now() >= signedFromMs
    return isRequired || job?.isSigned || (await pins.isPinned(validator)) ? 'unsigned' : undefined
  }
  if (!verifySignature(validator, utf8(signedText()), signature)) return 'invalid-signature'
  await pins.pin(validator)
  return undefined
}

/** Returns whether the receipt of an offer is one that this miner can be paid for. */
export function isGoodReceipt(
  { payload, signature }: OfferReceipt,
  offer: JobOffer,
  validator: string,
  rules: ProofRules,
): boolean {
  const ageMs = rules.clock.now() - millisecondsOf(payload.timestamp)
  return (
    payload.job_uuid === offer.jobUuid &&
    payload.executor_class === offer.executorClass &&
    ageMs <= MAX_AGE_MS &&
    ageMs >= -MAX_AHEAD_MS &&
    isSignedFor(payload, signature, validator, rules)
  )
}

/** Returns whether a receipt is this miner's, of this validator, and signed by it. */
export function isSignedFor(
  payload: ReceiptPayload,
  signature: string,
  validator: string,
  { hotkey, isTrustedMiner }: ProofRules,
): boolean {
  const isOurs = payload.miner_hotkey === hotkey.ss58 || (isTrustedMiner && payload.miner_hotkey === TRUSTED_MINER)
  return (
    isOurs &&
    payload.validator_hotkey === validator &&
    verifySignature(validator, utf8(receiptText(payload)), signature)
  )
}

/** Signs a receipt for the miner, too. */
export function countersigned<P extends ReceiptPayload>(
  payload: P,
  validatorSignature: string,
  { hotkey }: ProofRules,
): SignedReceipt<P> {
  const signed = Buffer.from(hotkey.sign(utf8(receiptText(payload))))
  return { payload, validatorSignature, minerSignature: `0x${signed.toString('hex')}` }
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
