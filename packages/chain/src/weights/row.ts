import type { ChainErrorCode } from '../errors.ts'
import { U16_MAX } from './sdk.ts'

/** A row of weights as it is sent: u16 each. */
export type WeightRow = { readonly uids: readonly number[]; readonly weights: readonly number[] }

/** What the chain measures a row by. */
export type RowRules = {
  /** Neurons on the subnet: uids are 0 … neurons−1. */
  readonly neurons: number
  readonly minAllowedWeights: number
  /** u16: 65535 is 1.0 and switches the check off. */
  readonly maxWeightsLimit: number
  /** The sender's uid: a row with it alone passes checks that others do not. */
  readonly ownUid?: number | undefined
}

/** The fixed point numbers of the runtime have this many binary places (I32F32). */
const FRACTION_BITS = 32n
const HALF = 1n << (FRACTION_BITS - 1n)

/** Above this largest weight the runtime multiplies by a truncated ratio instead of dividing. */
const EXACT_UP_TO = 32_768

/** The row as the chain stores it: upscaled so that the largest is 65535, with the rounding of the runtime's I32F32. */
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
 * Why the chain would refuse the row: its own checks of a row's form, in its order. Undefined when it takes it, as far
 * as the row itself goes.
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

/** One entry alone, for the sender itself. */
export const isSelfWeight = ({ uids }: WeightRow, { ownUid }: RowRules): boolean =>
  ownUid !== undefined && uids.length === 1 && uids[0] === ownUid

/** How many entries the chain asks for. */
export const entriesNeeded = ({ neurons, minAllowedWeights }: RowRules): number => Math.min(neurons, minAllowedWeights)

/**
 * max / sum ≤ limit / 65535, in whole numbers. The runtime truncates both sides to 32 binary places, which only makes
 * its check milder.
 */
export function withinLimit(weights: readonly number[], maxWeightsLimit: number): boolean {
  if (maxWeightsLimit >= U16_MAX) return true
  return Math.max(0, ...weights) * U16_MAX <= maxWeightsLimit * total(weights)
}

export const total = (weights: readonly number[]): number => weights.reduce((sum, weight) => sum + weight, 0)
