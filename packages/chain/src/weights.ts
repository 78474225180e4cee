import { withEnoughEntries, withinMaxWeight } from './weights/repair.ts'
import type { RowRules, WeightRow } from './weights/row.ts'
import { type Emitted, emitWeights, processWeights, U16_MAX } from './weights/sdk.ts'

export type { RowRules, WeightRow }

/** Scores, and the limits of the subnet that the row must keep. */
export type WeightsInput = {
  /** 0 or more each. A uid without a score counts as 0. */
  readonly scores: readonly number[]
  /** The uid of each score. Default: `scores[i]` belongs to uid i. A uid that is not on the subnet is left out. */
  readonly uids?: readonly number[]
  /** Number of neurons on the subnet. Default: the number of scores. */
  readonly neurons?: number
  readonly minAllowedWeights: number
  /** u16: 65535 is 1.0. */
  readonly maxWeightsLimit: number
  /** The share of the lowest scores that get no weight, as u16. Default: 0. */
  readonly excludeQuantile?: number
  /** The sender's uid, if it is a neuron. */
  readonly ownUid?: number
}

/** Larger scores would overflow the SDK's float32 sums. */
export const MAX_SCORE = 1e30

/**
 * Makes a row of weights that the chain accepts. It computes exactly what the Python SDK computes, and then repairs the
 * two things that the SDK's rounding can break. Weights are u16, and the row is ordered by uid. Without a score above 0
 * the row is uniform; the caller decides whether to send the last row instead.
 * @throws RangeError when a score is not a number or above `MAX_SCORE`
 */
export function makeWeights(input: WeightsInput): WeightRow {
  const scores = scoresByUid(input)
  if (scores.length === 0) return { uids: [], weights: [] }
  const rules: RowRules = { ...input, neurons: scores.length }
  return withinMaxWeight(withEnoughEntries(emitted(scores, input), rules), rules)
}

/** Makes a row with the same weight for every neuron. */
export const uniformWeights = (neurons: number): WeightRow => ({
  uids: Array.from({ length: neurons }, (_, uid) => uid),
  weights: new Array<number>(neurons).fill(U16_MAX),
})

/** Returns a row's weights as shares of 1. */
export function sharesOf(row: WeightRow): number[] {
  const sum = row.weights.reduce((a, b) => a + b, 0)
  return row.weights.map(weight => (sum === 0 ? 0 : weight / sum))
}

function scoresByUid({ scores, uids, neurons }: WeightsInput): number[] {
  if (scores.some(score => Number.isNaN(score) || score > MAX_SCORE)) {
    throw new RangeError(`a score must be a number of at most ${MAX_SCORE}`)
  }
  const byUid = new Array<number>(neurons ?? (uids ? Math.max(-1, ...uids) + 1 : scores.length)).fill(0)
  for (const [i, score] of scores.entries()) {
    const uid = uids ? uids[i] : i
    if (uid !== undefined && uid in byUid) byUid[uid] = score
  }
  return byUid
}

/** Runs the SDK's arithmetic. */
function emitted(scores: number[], settings: WeightsInput): Emitted {
  const { uids, weights } = processWeights(scores, settings)
  // For a few odd limits the SDK's clipping divides by 0. A uniform row is what the SDK itself uses as a fallback.
  const isValid = weights.every(weight => weight >= 0 && Number.isFinite(weight)) && weights.some(weight => weight > 0)
  if (isValid) return emitWeights(uids, weights)
  return { ...uniformWeights(scores.length), dropped: [] }
}
