/** A class's weight, and how much of its demand its miners can serve. */
export interface ClassCapacity {
  name: string
  /** The operator's weight times the demand factor; 0 or more. */
  weight: number
  /** Measured capacity, in executors of reference speed. */
  offered: number
  /** Demanded capacity, in executors of reference speed; above 0. */
  demanded: number
}

/**
 * Computes each class's share of a validator's weights. The shares sum to 1, or to 0 if no class with a weight has any
 * capacity.
 *
 * A class's base share is its part of the sum of all weights. If a class offers less than is demanded, its share
 * shrinks by the same ratio, and the rest goes to the other classes in proportion to their weights. A class that offers
 * three times what is demanded can get at most three times its base share. If all classes together cannot take
 * everything, shares are in proportion to weight · offered / demanded.
 *
 * As a formula: share = base share · min(level, offered / demanded), with the level, at least 1, at which the shares
 * sum to 1. The formula is continuous, so no class or miner ever loses by offering more (docs/scoring.md).
 */
export function classShares(classes: readonly ClassCapacity[]): Map<string, number> {
  const totalWeight = classes.reduce((sum, { weight }) => sum + weight, 0)
  const shortestFirst = classes
    .filter(({ weight, offered }) => weight > 0 && offered > 0)
    .map(({ name, weight, offered, demanded }) => ({ name, base: weight / totalWeight, ratio: offered / demanded }))
    .sort((a, b) => a.ratio - b.ratio)
  const shares = new Map(classes.map(({ name }) => [name, 0]))
  const room = shortestFirst.reduce((sum, { base, ratio }) => sum + base * ratio, 0)
  if (room <= 1) {
    for (const { name, base, ratio } of shortestFirst) shares.set(name, room > 0 ? (base * ratio) / room : 0)
    return shares
  }
  let left = 1
  for (const [i, { name, base, ratio }] of shortestFirst.entries()) {
    const baseLeft = shortestFirst.slice(i).reduce((sum, each) => sum + each.base, 0)
    // Only rounding could make the level fall below 1.
    const share = base * Math.min(ratio, Math.max(1, left / baseLeft))
    shares.set(name, share)
    left = Math.max(0, left - share)
  }
  return shares
}
