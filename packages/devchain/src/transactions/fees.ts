import { isFree } from '../runtime/dispatch.ts'
import type { RuntimeCall } from '../table/runtime-call.ts'

/** In rao: a fixed fee, and one rao for each byte. */
const BASE_FEE = 125_000n
const BYTE_FEE = 1n

/** Reported as the weight of every call; the devchain measures no time. */
export const CALL_WEIGHT = { ref_time: 100_000_000n, proof_size: 0n }

/** Returns the price of `length` bytes, in rao. */
export function lengthFee(length: number): bigint {
  return BYTE_FEE * BigInt(length)
}

/** Returns the cost of an extrinsic of `length` bytes without its tip, in rao. */
export function feeOf(call: RuntimeCall, length: number): bigint {
  return isFree(call) ? 0n : BASE_FEE + lengthFee(length)
}

/** Returns the parts of the fee for clients that ask for them. */
export function feeParts(call: RuntimeCall, length: number): { base: bigint; length: bigint } {
  return isFree(call) ? { base: 0n, length: 0n } : { base: BASE_FEE, length: lengthFee(length) }
}
