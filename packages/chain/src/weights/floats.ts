/**
 * Arithmetic with exactly numpy's results. The Python SDK computes on float32 arrays, where the order of additions
 * changes the result. The array type gives the precision: with Float32Array every operation rounds, with Float64Array
 * none does.
 */
export type Floats = Float32Array | Float64Array

/** numpy sums up to this many elements with 8 running sums, and splits longer arrays in half. */
const PAIRWISE_BLOCK = 128
const RUNNING_SUMS = 8

/** Returns a function that rounds one operation's result to the precision of `like`. */
export const rounder = (like: Floats): ((x: number) => number) => (like instanceof Float32Array ? Math.fround : x => x)

/** Computes `values.sum()` by numpy's pairwise summation. */
export const sum = (values: Floats): number => pairwise(values, 0, values.length, rounder(values))

function pairwise(values: Floats, from: number, length: number, round: (x: number) => number): number {
  const at = (i: number): number => values[from + i] ?? 0
  if (length < RUNNING_SUMS) {
    let total = 0
    for (let i = 0; i < length; i++) total = round(total + at(i))
    return total
  }
  if (length > PAIRWISE_BLOCK) {
    const half = Math.floor(length / 2)
    const left = half - (half % RUNNING_SUMS)
    return round(pairwise(values, from, left, round) + pairwise(values, from + left, length - left, round))
  }
  return eightSums(at, length, round)
}

function eightSums(at: (i: number) => number, length: number, round: (x: number) => number): number {
  const sums = Array.from({ length: RUNNING_SUMS }, (_, i) => at(i))
  const whole = length - (length % RUNNING_SUMS)
  for (let i = RUNNING_SUMS; i < whole; i++) sums[i % RUNNING_SUMS] = round((sums[i % RUNNING_SUMS] ?? 0) + at(i))
  const pair = (i: number): number => round((sums[i] ?? 0) + (sums[i + 1] ?? 0))
  let total = round(round(pair(0) + pair(2)) + round(pair(4) + pair(6)))
  for (let i = whole; i < length; i++) total = round(total + at(i))
  return total
}

/** Computes `numpy.cumsum`, from left to right. */
export function cumulated(values: Floats): Floats {
  const round = rounder(values)
  let total = 0
  return values.map(value => {
    total = round(total + value)
    return total
  })
}

/** Computes `values / divisor`, element by element. */
export const divided = (values: Floats, divisor: number): Floats => values.map(value => value / divisor)

/** Computes `numpy.quantile(values, q)` with linear interpolation, in the precision of the array. */
export function quantile(values: Floats, q: number): number {
  const round = rounder(values)
  const sorted = values.toSorted()
  const position = round((sorted.length - 1) * round(q))
  const below = Math.floor(position)
  const share = round(position - below)
  const low = sorted[below] ?? 0
  const high = sorted[Math.min(below + 1, sorted.length - 1)] ?? low
  const distance = round(high - low)
  return share >= 0.5 ? round(high - round(distance * round(1 - share))) : round(low + round(distance * share))
}

/** Rounds to the nearest integer and halves to the even one, as Python's `round` does. */
export function roundHalfToEven(x: number): number {
  const below = Math.floor(x)
  const rest = x - below
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1
  return below % 2 === 0 ? below : below + 1
}
