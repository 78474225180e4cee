import { withEnoughEntries, withinMaxWeight } from './weights/repair.ts'
import type { RowRules, WeightRow } from './weights/row.ts'
import { type Emitted, emitWeights, processWeights, U16_MAX } from './weights/sdk.ts'

export type { RowRules, WeightRow }

export type WeightsInput = {
  /** Scores, 0 or more; a uid without one counts as 0. */
  readonly scores: readonly number[]
  /** Whose score each is; default: `scores[i]` is uid i's. A uid of no neuron is left out. */
  readonly uids?: readonly number[]
  /** Neurons on the subnet; default: as many as scores. */
  readonly neurons?: number
  readonly minAllowedWeights: number
  /** u16, as the chain says it: 65535 is 1.0. */
  readonly maxWeightsLimit: number
  /** u16 share of the lowest scores that get nothing; default 0. */
  readonly excludeQuantile?: number
  /** The sender's uid, when it is a neuron. */
  readonly ownUid?: number
}

/** Scores beyond this would overflow the SDK's float32 sums. */
export const MAX_SCORE = 1e30

/**
 * From scores to a row that the chain takes: the Python SDK's arithmetic, equal to the digit, then the two repairs
 * of what its rounding can break. Weights are u16; the row is in the order of its uids. With no score above 0 the row
 * is uniform (whether to send the last row instead is for the caller to know).
 * @throws RangeError when a score is not a number, or above `MAX_SCORE`
 */
export function makeWeights(input: WeightsInput): WeightRow {
  const scores = scoresByUid(input)
  if (scores.length === 0) return { uids: [], weights: [] }
  const rules: RowRules = { ...input, neurons: scores.length }
  return withinMaxWeight(withEnoughEntries(emitted(scores, input), rules), rules)
}

/** The same weight for every neuron. */
export const uniformWeights = (neurons: number): WeightRow => ({
  uids: Array.from({ length: neurons }, (_, uid) => uid),
  weights: new Array<number>(neurons).fill(U16_MAX),
})

/** The weights of a row as shares of 1, as readers of the chain see them. */
export function sharesOf(row: WeightRow): number[] {
  const sum = row.weights.reduce((a, b) => a + b, 0)
  return row.weights.map(weight => (sum === 0 ? 0 : weight / sum))
}

function scoresByUid({ scores, uids, neurons }: WeightsInput): number[] {
  if (scores.some(score => Number.isNaN(score) || score > MAX_SCORE)) {
    throw new RangeError(`a score is a number of at most ${MAX_SCORE}`)
  }
  const byUid = new Array<number>(neurons ?? (uids ? Math.max(-1, ...uids) + 1 : scores.length)).fill(0)
  for (const [i, score] of scores.entries()) {
    const uid = uids ? uids[i] : i
    if (uid !== undefined && uid in byUid) byUid[uid] = score
  }
  return byUid
}

function emitted(scores: number[], settings: WeightsInput): Emitted {
  const { uids, weights } = processWeights(scores, settings)
  // The SDK's clipping divides by 0 for a few odd limits; uniform is its own answer to what it can not weigh.
  const sound = weights.every(weight => weight >= 0 && Number.isFinite(weight)) && weights.some(weight => weight > 0)
  if (sound) return emitWeights(uids, weights)
  return { ...uniformWeights(scores.length), dropped: [] }
}
