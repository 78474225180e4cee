/** A class as it takes its part of a validator's weights. */
export interface ClassStanding {
  name: string
  /** Operator's weight times demand; 0 or more. */
  weight: number
  /** Executors of reference speed, as they were measured. */
  offered: number
  /** Executors of reference speed; above 0. */
  demanded: number
}

/**
 * Each class's share of the weights, 1 in all, or 0 in all when no class with a weight has any capacity.
 *
 * A class's own share is its part of all the classes' weights. One that offers less than is demanded gets just so much
 * less; the rest goes to the others, in proportion to their weights, each taking no more than its capacity allows: a class
 * that offers three times what is demanded takes at most three times its own share. Where all of them together cannot
 * take everything, shares are in proportion to weight times offered over demanded.
 *
 * It is how water fills vessels: share = part · min(level, offered / demanded), with the level, at least 1, at which they
 * sum to 1. There is no step in it, so that neither
 * a class nor a miner ever loses by offering more (docs/scoring.md).
 */
export function classShares(classes: readonly ClassStanding[]): Map<string, number> {
  const totalWeight = classes.reduce((sum, { weight }) => sum + weight, 0)
  const vessels = classes
    .filter(({ weight, offered }) => weight > 0 && offered > 0)
    .map(({ name, weight, offered, demanded }) => ({ name, part: weight / totalWeight, height: offered / demanded }))
    .sort((a, b) => a.height - b.height)
  const shares = new Map(classes.map(({ name }) => [name, 0]))
  const room = vessels.reduce((sum, { part, height }) => sum + part * height, 0)
  if (room <= 1) {
    for (const { name, part, height } of vessels) shares.set(name, room > 0 ? (part * height) / room : 0)
    return shares
  }
  let left = 1
  for (const [i, { name, part, height }] of vessels.entries()) {
    const partsLeft = vessels.slice(i).reduce((sum, vessel) => sum + vessel.part, 0)
    // The level never falls below 1, but by rounding.
    const share = part * Math.min(height, Math.max(1, left / partsLeft))
    shares.set(name, share)
    left = Math.max(0, left - share)
  }
  return shares
}
