import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type DemandRules, demandFactors, executorSecondsAsked } from './demand.ts'

const RULES: DemandRules = { windowSeconds: 604_800, smoothingSeconds: 100, floor: 0.5, ceiling: 2 }
const factors = (seconds: Record<string, number>, rules: Partial<DemandRules> = {}) =>
  Object.fromEntries(demandFactors(new Map(Object.entries(seconds)), { ...RULES, ...rules }))

describe('executor-seconds asked', () => {
  it.each([
    ['what ran', 600, 2, 0, 600],
    ['and the mean of it for each that was turned away', 600, 3, 2, 1_000],
    ['but no more than ran', 600, 2, 1_000, 1_200],
    ['nothing where nothing ran', 0, 0, 1_000, 0],
  ])('%s', (_, executorSeconds, ran, turnedAway, asked) => {
    expect(executorSecondsAsked({ executorSeconds, ran, turnedAway })).toBe(asked)
  })
})

describe('what demand makes of weights', () => {
  it('is nothing where nothing was asked for', () => {
    expect(factors({ a: 0, b: 0, c: 0 })).toEqual({ a: 1, b: 1, c: 1 })
    expect(factors({ a: 0, b: 0 }, { smoothingSeconds: 0 })).toEqual({ a: 1, b: 1 })
    expect(factors({})).toEqual({})
  })

  it('is how much more than the mean was asked for, smoothed', () => {
    expect(factors({ a: 200, b: 0 })).toEqual({ a: 1.5, b: 0.5 })
    expect(factors({ a: 200, b: 0 }, { smoothingSeconds: 900 })).toEqual({ a: 1.1, b: 0.9 })
  })

  it('has a floor and a ceiling', () => {
    expect(factors({ a: 1e9, b: 0, c: 0, d: 0 })).toEqual({ a: 2, b: 0.5, c: 0.5, d: 0.5 })
  })

  it('is always within them, and more for what is asked for more', () => {
    const seconds = fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 2, maxLength: 6 })
    const smoothing = fc.double({ min: 0, max: 1e9, noNaN: true })
    fc.assert(
      fc.property(seconds, smoothing, (asked, smoothingSeconds) => {
        const made = demandFactors(new Map(asked.map((each, i) => [String(i), each])), { ...RULES, smoothingSeconds })
        for (const factor of made.values()) expect(factor >= RULES.floor && factor <= RULES.ceiling).toBe(true)
        const [first = 0, second = 0] = asked
        if (first >= second) expect(made.get('0')).toBeGreaterThanOrEqual(made.get('1') ?? 0)
      }),
    )
  })
})
