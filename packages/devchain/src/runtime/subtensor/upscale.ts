const U16_MAX = 65_535n
/** The chain computes in I32F32: 32 bits after the point, cut off and not rounded. */
const FRACTION_BITS = 32n
const HALF = 1n << (FRACTION_BITS - 1n)
/** Above this, value · 65535 does not fit into I32F32, so the chain divides first and loses digits. */
const DIVIDES_FIRST = 32_768n

const round = (fixed: bigint) => Number((fixed + HALF) >> FRACTION_BITS)

/** Returns the row scaled so that its largest entry is 65535. A row of zeros stays as it is. */
export function maxUpscale(values: number[]): number[] {
  const max = BigInt(Math.max(0, ...values))
  if (max === 0n) return values.map(() => 0)
  if (max > DIVIDES_FIRST) {
    const ratio = (U16_MAX << FRACTION_BITS) / max
    return values.map(value => round(BigInt(value) * ratio))
  }
  return values.map(value => round(((BigInt(value) * U16_MAX) << FRACTION_BITS) / max))
}

/** Returns whether no entry exceeds `limit` / 65535 of the row's sum (check 12). 65535 means no limit. */
export function withinMaxWeight(values: number[], limit: number): boolean {
  if (BigInt(limit) === U16_MAX) return true
  const sum = values.reduce((total, value) => total + BigInt(value), 0n)
  if (sum === 0n) return true
  const share = (BigInt(Math.max(...values)) << FRACTION_BITS) / sum
  return share <= (BigInt(limit) << FRACTION_BITS) / U16_MAX
}
