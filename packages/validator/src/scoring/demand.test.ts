import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type DemandRules, demandFactors, requestedSeconds } from './class-shares.ts'

const RULES: DemandRules = { windowSeconds: 604_800, smoothingSeconds: 100, floor: 0.5, ceiling: 2 }
const factors = (seconds: Record<string, number>, rules: Partial<DemandRules> = {}) =>
  Object.fromEntries(demandFactors(new Map(Object.entries(seconds)), { ...RULES, ...rules }))

describe('requestedSeconds', () => {
  it.each([
    ['counts what ran', 600, 2, 0, 600],
    ['counts each job turned away as the mean of those that ran', 600, 3, 2, 1_000],
    ['counts the jobs turned away as no more than those that ran', 600, 2, 1_000, 1_200],
    ['is 0 if nothing ran', 0, 0, 1_000, 0],
  ])('%s', (_, executorSeconds, ran, turnedAway, requested) => {
    expect(requestedSeconds({ executorSeconds, ran, turnedAway })).toBe(requested)
  })
})

describe('demandFactors', () => {
  it('is 1 for all classes if users requested nothing', () => {
    expect(factors({ a: 0, b: 0, c: 0 })).toEqual({ a: 1, b: 1, c: 1 })
    expect(factors({ a: 0, b: 0 }, { smoothingSeconds: 0 })).toEqual({ a: 1, b: 1 })
    expect(factors({})).toEqual({})
  })

  it('is the smoothed demand divided by the smoothed mean', () => {
    expect(factors({ a: 200, b: 0 })).toEqual({ a: 1.5, b: 0.5 })
    expect(factors({ a: 200, b: 0 }, { smoothingSeconds: 900 })).toEqual({ a: 1.1, b: 0.9 })
  })

  it('stays within floor and ceiling', () => {
    expect(factors({ a: 1e9, b: 0, c: 0, d: 0 })).toEqual({ a: 2, b: 0.5, c: 0.5, d: 0.5 })
  })

  it('stays within floor and ceiling for any demand, and never falls when demand rises', () => {
    const demands = fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 2, maxLength: 6 })
    const smoothing = fc.double({ min: 0, max: 1e9, noNaN: true })
    fc.assert(
      fc.property(demands, smoothing, (requested, smoothingSeconds) => {
        const seconds = new Map(requested.map((each, i) => [String(i), each]))
        const made = demandFactors(seconds, { ...RULES, smoothingSeconds })
        for (const factor of made.values()) expect(factor >= RULES.floor && factor <= RULES.ceiling).toBe(true)
        const [first = 0, second = 0] = requested
        if (first >= second) expect(made.get('0')).toBeGreaterThanOrEqual(made.get('1') ?? 0)
      }),
    )
  })
})
