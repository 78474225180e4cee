import { entriesNeeded, isSelfWeight, type RowRules, total, upscaled, type WeightRow, withinLimit } from './row.ts'
import { type Emitted, U16_MAX } from './sdk.ts'

/**
 * Repair (a): adds entries until the chain's minimum is reached. Entries that rounded to 0 come back with weight 1, the
 * largest first and ties by lower uid.
 */
export function withEnoughEntries(emitted: Emitted, rules: RowRules): WeightRow {
  const missing = isSelfWeight(emitted, rules) ? 0 : entriesNeeded(rules) - emitted.uids.length
  if (missing <= 0) return { uids: emitted.uids, weights: emitted.weights }
  const raised = emitted.dropped.toSorted((a, b) => b.weight - a.weight || a.uid - b.uid).slice(0, missing)
  return withEntries(
    emitted,
    raised.map(({ uid }) => uid),
    1,
  )
}

/**
 * Repair (e): makes a row keep MaxWeightsLimit, which rounding can break. If there are too few entries for the limit,
 * it adds uids, the lowest first, each with the largest weight. Then it lowers every weight above the limit to
 * floor(limit · sum / 65535), until the row passes the chain's check, which comes after upscaling.
 *
 * Where no row can pass (limit · neurons < 65535), every neuron gets the same weight.
 */
export function withinMaxWeight(row: WeightRow, rules: RowRules): WeightRow {
  if (isSelfWeight(row, rules) || withinLimit(upscaled(row.weights), rules.maxWeightsLimit)) return row
  const wide = withFurtherUids(row, rules)
  if (wide.uids.length * rules.maxWeightsLimit < U16_MAX)
    return { uids: wide.uids, weights: wide.uids.map(() => U16_MAX) }
  return { uids: wide.uids, weights: lowered(wide.weights, rules.maxWeightsLimit) }
}

function withFurtherUids(row: WeightRow, rules: RowRules): WeightRow {
  const wanted = Math.min(rules.neurons, Math.ceil(U16_MAX / Math.max(1, rules.maxWeightsLimit)))
  const present = new Set(row.uids)
  const further: number[] = []
  for (let uid = 0; uid < rules.neurons && row.uids.length + further.length < wanted; uid++) {
    if (!present.has(uid)) further.push(uid)
  }
  return withEntries(row, further, Math.max(...row.weights))
}

/** Lowers the largest weights until the row passes. Ends at the latest when all weights are equal. */
function lowered(weights: readonly number[], maxWeightsLimit: number): readonly number[] {
  let row = weights
  for (;;) {
    // Checks the upscaled row last, because it costs more to compute.
    const fits = withinLimit(row, maxWeightsLimit)
    if (fits && withinLimit(upscaled(row), maxWeightsLimit)) return row
    // A row that breaks the limit only after upscaling gets its largest weight lowered by one.
    const ceiling = fits ? Math.max(...row) - 1 : Math.floor((maxWeightsLimit * total(row)) / U16_MAX)
    row = row.map(weight => Math.min(weight, ceiling))
  }
}

function withEntries(row: WeightRow, uids: readonly number[], weight: number): WeightRow {
  const entries = row.uids.map((uid, i) => ({ uid, weight: row.weights[i] ?? 0 }))
  entries.push(...uids.map(uid => ({ uid, weight })))
  entries.sort((a, b) => a.uid - b.uid)
  return { uids: entries.map(entry => entry.uid), weights: entries.map(entry => entry.weight) }
}
