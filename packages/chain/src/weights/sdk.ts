import { cumulated, divided, type Floats, quantile, rounder, roundHalfToEven, sum } from './floats.ts'

/**
 * Computes weights from scores exactly as the Python SDK does (v6.12.1, and v10.2.0 with numpy). It ignores the chain's
 * checks; `weights.ts` repairs rows that would not pass them.
 */

/** The largest weight. As a share or limit it means 1.0. */
export const U16_MAX = 65_535

/** Uids with a float or u16 weight each. */
export type Processed = { readonly uids: readonly number[]; readonly weights: Floats }

/** The limits of the subnet. */
export type ProcessSettings = {
  readonly minAllowedWeights: number
  /** u16: 65535 is 1.0. */
  readonly maxWeightsLimit: number
  /** The share of the lowest scores that get no weight, as u16. Default: 0. */
  readonly excludeQuantile?: number
}

/** Avoids a division by zero when normalising. */
const EPSILON = 1e-7

/** The weight of a neuron without a score, when too few neurons have one. */
const BASE_WEIGHT = 1e-5

/** The SDK's `process_weights`. `scores[i]` is the score of uid i; computes in float32. */
export function processWeights(scores: ArrayLike<number>, settings: ProcessSettings): Processed {
  const all = Float32Array.from(scores)
  const everyUid = Array.from(all.keys())
  const scored = everyUid.filter(uid => (all[uid] ?? 0) > 0)
  const { minAllowedWeights } = settings
  const limit = settings.maxWeightsLimit / U16_MAX

  if (scored.length === 0 || all.length < minAllowedWeights) {
    return { uids: everyUid, weights: new Float64Array(all.length).fill(1 / all.length) }
  }
  if (scored.length < minAllowedWeights) {
    const weights = Float64Array.from(all, score => (score > 0 ? BASE_WEIGHT + score : BASE_WEIGHT))
    return { uids: everyUid, weights: normalizeMaxWeight(weights, limit) }
  }
  return aboveQuantile(all, scored, settings, limit)
}

function aboveQuantile(all: Float32Array, scored: number[], settings: ProcessSettings, limit: number): Processed {
  const scores = Float32Array.from(scored, uid => all[uid] ?? 0)
  const excludable = Math.max(0, scored.length - settings.minAllowedWeights) / scored.length
  const lowest = quantile(scores, Math.min((settings.excludeQuantile ?? 0) / U16_MAX, excludable))
  const uids = scored.filter(uid => (all[uid] ?? 0) >= lowest)
  return {
    uids,
    weights: normalizeMaxWeight(
      Float32Array.from(uids, uid => all[uid] ?? 0),
      limit,
    ),
  }
}

/** The SDK's `normalize_max_weight`: returns shares that sum to 1, clipped so that none exceeds `limit` (0 … 1). */
export function normalizeMaxWeight(x: Floats, limit: number): Floats {
  const total = sum(x)
  if (total === 0 || x.length * limit <= 1) return x.map(() => 1 / x.length)
  const sorted = x.toSorted()
  const sortedTotal = sum(sorted)
  const shares = divided(sorted, sortedTotal)
  if (Math.max(...shares) <= limit) return divided(x, total)
  const cutoff = cutoffScale(shares, limit) * sortedTotal
  const clipped = x.map(weight => Math.min(weight, cutoff))
  return divided(clipped, sum(clipped))
}

function cutoffScale(shares: Floats, limit: number): number {
  const round = rounder(shares)
  const running = cumulated(shares)
  const n = shares.length
  // numpy converts a Python float to the array's precision.
  const limitOfArray = round(limit)
  const epsilonOfArray = round(EPSILON)
  let unclipped = 0
  for (let i = 0; i < n; i++) {
    const share = shares[i] ?? 0
    const ifClippedHere = round(round(round((n - i - 1) * share) + (running[i] ?? 0)) + epsilonOfArray)
    if (round(share / ifClippedHere) < limitOfArray) unclipped++
  }
  // When all are clipped, Python's index −1 reads the last element.
  const kept = running.at(unclipped - 1) ?? 0
  return round(round(limitOfArray * kept) - epsilonOfArray) / (1 - limit * (n - unclipped))
}

/** A row as the SDK sends it. */
export type Emitted = {
  readonly uids: readonly number[]
  /** u16, the largest 65535. */
  readonly weights: readonly number[]
  /** Entries whose weight rounded to 0. The SDK does not send them. */
  readonly dropped: ReadonlyArray<{ readonly uid: number; readonly weight: number }>
}

/**
 * The SDK's `convert_weights_and_uids_for_emit`: scales weights so that the largest is 65535, rounds halves to even,
 * and leaves out zeros.
 * @throws RangeError on a negative weight or uid, unequal lengths or an empty list, as the SDK does
 */
export function emitWeights(uids: readonly number[], weights: ArrayLike<number>): Emitted {
  const row = uids.map((uid, i) => ({ uid, weight: weights[i] ?? Number.NaN }))
  if (uids.length === 0 || uids.length !== weights.length)
    throw new RangeError('needs one weight for each uid, and at least one')
  if (row.some(({ uid, weight }) => uid < 0 || !(weight >= 0)))
    throw new RangeError('uids and weights must not be negative')
  const largest = Math.max(...row.map(({ weight }) => weight))
  if (largest === 0) return { uids: [], weights: [], dropped: row }
  const scaled = row.map(({ uid, weight }) => ({ uid, weight, u16: roundHalfToEven((weight / largest) * U16_MAX) }))
  const kept = scaled.filter(({ u16 }) => u16 > 0)
  const dropped = scaled.filter(({ u16 }) => u16 === 0).map(({ uid, weight }) => ({ uid, weight }))
  return { uids: kept.map(({ uid }) => uid), weights: kept.map(({ u16 }) => u16), dropped }
}
