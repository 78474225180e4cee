import { isFree } from '../runtime/dispatch.ts'
import type { RuntimeCall } from '../table/runtime-call.ts'

/** rao: a fixed part for the work, and one rao for each byte. */
const BASE_FEE = 125_000n
const BYTE_FEE = 1n

/** Reported as every call's weight; nothing here measures time. */
export const CALL_WEIGHT = { ref_time: 100_000_000n, proof_size: 0n }

/** The price of `length` bytes, in rao. */
export function lengthFee(length: number): bigint {
  return BYTE_FEE * BigInt(length)
}

/** What an extrinsic of `length` bytes costs without its tip, in rao. */
export function feeOf(call: RuntimeCall, length: number): bigint {
  return isFree(call) ? 0n : BASE_FEE + lengthFee(length)
}

/** The parts of the fee, as clients may ask for them. */
export function feeParts(call: RuntimeCall, length: number): { base: bigint; length: bigint } {
  return isFree(call) ? { base: 0n, length: 0n } : { base: BASE_FEE, length: lengthFee(length) }
}
