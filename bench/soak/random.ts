/** Pseudo-random numbers that are the same for the same seed (mulberry32). */

/** Returns the next number, from 0 up to, but not including, 1. */
export type Random = () => number

/** @param seed a whole number */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Returns a copy in random order. */
export function shuffled<T>(list: readonly T[], random: Random): T[] {
  return list
    .map(each => ({ each, rank: random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ each }) => each)
}
