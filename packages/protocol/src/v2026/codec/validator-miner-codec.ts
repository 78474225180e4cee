/** Converts the requests of link 1 between v2026 and the vocabulary of ../../job. Reports: see report-codec.ts. */
import type { JobRequest } from '../../job/messages.ts'
import type { JobOffer, JobWork } from '../../job/request.ts'
import type { JobUuid } from '../../primitives.ts'
import { canonicalTextToSend } from '../signing/canonical-text.ts'
import type { V0InitialJobRequest, V0JobRequest } from '../validator-miner.ts'
import { type OfferReceipt, offerFromV2026, offerToV2026, workFromV2026, workToV2026 } from './request-codec.ts'

/** @param jobUuid the message's own, checked */
export function requestFromV2026(message: V0InitialJobRequest | V0JobRequest, jobUuid: JobUuid): JobRequest {
  if (message.message_type === 'V0JobRequest') return { type: 'work', ...workFromV2026(message, jobUuid) }
  return { type: 'offer', ...offerFromV2026(message, jobUuid) }
}

/** Returns the signature of the hotkey over a text in UTF-8, as `0x…`. */
export type SignText = (text: string) => string

/**
 * Returns a signed offer, which may not change any more.
 *
 * @throws NotInV2026Error for a class that is not one of v2026
 */
export function signedOffer(offer: JobOffer, receipt: OfferReceipt, sign: SignText): V0InitialJobRequest {
  return signed(offerToV2026(offer, receipt), sign)
}

/**
 * Returns signed work, which may not change any more. The volumes stand in the offer alone.
 *
 * @throws NotInV2026Error for a class or preset that is not one of v2026
 */
export function signedWork(work: JobWork, executorClass: string | null, sign: SignText): V0JobRequest {
  return signed({ ...workToV2026(work, executorClass), volume: null }, sign)
}

function signed<M extends object>(message: M, sign: SignText): M & { validator_signature: string } {
  return { validator_signature: sign(canonicalTextToSend(message)), ...message }
}
