import type { ChainErrorCode } from '../errors.ts'
import { U16_MAX } from './sdk.ts'

/** A row of weights as it is sent to the chain: u16 each. */
export type WeightRow = { readonly uids: readonly number[]; readonly weights: readonly number[] }

/** The chain's rules for a row. */
export type RowRules = {
  /** Number of neurons on the subnet: uids are 0 … neurons−1. */
  readonly neurons: number
  readonly minAllowedWeights: number
  /** u16: 65535 is 1.0 and switches the check off. */
  readonly maxWeightsLimit: number
  /** The sender's uid. A row with only this uid skips some checks. */
  readonly ownUid?: number | undefined
}

/** Binary places of the runtime's fixed-point numbers (I32F32). */
const FRACTION_BITS = 32n
const HALF = 1n << (FRACTION_BITS - 1n)

/** If the largest weight exceeds this, the runtime multiplies by a truncated ratio instead of dividing. */
const EXACT_UP_TO = 32_768

/** Returns weights as the chain stores them: scaled so that the largest is 65535, with the rounding of I32F32. */
export function upscaled(weights: readonly number[]): number[] {
  const largest = Math.max(0, ...weights)
  if (largest === 0) return weights.map(() => 0)
  const ratio = (BigInt(U16_MAX) << FRACTION_BITS) / BigInt(largest)
  return weights.map(weight => {
    const product =
      largest > EXACT_UP_TO ? BigInt(weight) * ratio : (BigInt(weight * U16_MAX) << FRACTION_BITS) / BigInt(largest)
    return Number((product + HALF) >> FRACTION_BITS)
  })
}

/**
 * Returns the error with which the chain would refuse a row, by the chain's own checks in its order. Undefined if the
 * row passes them; the chain may still refuse it for other reasons, such as the rate limit.
 */
export function refusalOf(row: WeightRow, rules: RowRules): ChainErrorCode | undefined {
  const { uids, weights } = row
  if (uids.length !== weights.length) return 'UnequalLengths'
  if (uids.length > rules.neurons) return 'TooManyUids'
  if (new Set(uids).size !== uids.length) return 'DuplicateUids'
  if (uids.some(uid => uid < 0 || uid >= rules.neurons)) return 'InvalidUid'
  if (isSelfWeight(row, rules)) return undefined
  if (uids.length < entriesNeeded(rules)) return 'TooFewWeights'
  return withinLimit(upscaled(weights), rules.maxWeightsLimit) ? undefined : 'MaxWeightExceeded'
}

/** Returns whether the row's only entry is the sender itself. */
export const isSelfWeight = ({ uids }: WeightRow, { ownUid }: RowRules): boolean =>
  ownUid !== undefined && uids.length === 1 && uids[0] === ownUid

/** Returns how many entries the chain requires. */
export const entriesNeeded = ({ neurons, minAllowedWeights }: RowRules): number => Math.min(neurons, minAllowedWeights)

/**
 * Returns whether max / sum ≤ limit / 65535, computed in whole numbers. The runtime truncates both sides to 32 binary
 * places, which can only make its check less strict.
 */
export function withinLimit(weights: readonly number[], maxWeightsLimit: number): boolean {
  if (maxWeightsLimit >= U16_MAX) return true
  return Math.max(0, ...weights) * U16_MAX <= maxWeightsLimit * total(weights)
}

/** Returns the sum of weights. */
export const total = (weights: readonly number[]): number => weights.reduce((sum, weight) => sum + weight, 0)
