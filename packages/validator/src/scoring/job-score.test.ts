import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isInTime, type MeasuredRun, type Scoring, scoreJob } from './job-score.ts'

const RULE_2024: Scoring = { name: '2024' }
const EFFICIENCY: Scoring = { name: 'efficiency', exponent: 1.2, cap: 16 }
const RUN: MeasuredRun = { seconds: 20, timeoutSeconds: 90, referenceSeconds: 20, quality: 1 }

describe('2024', () => {
  it.each([
    [0, 90, 2],
    [45, 90, 1.5],
    [90, 90, 1],
    [22.5, 45, 1.5],
    [45, 45, 1],
    [91, 90, 2 * (1 - 91 / 180)],
  ])('gives %d s of %d s the score %d', (seconds, timeoutSeconds, score) => {
    expect(scoreJob({ ...RUN, seconds, timeoutSeconds }, RULE_2024)).toBeCloseTo(score, 12)
  })

  it('ignores the reference', () => {
    expect(scoreJob({ ...RUN, referenceSeconds: 1 }, RULE_2024)).toBe(scoreJob(RUN, RULE_2024))
  })
})

describe('efficiency', () => {
  it.each([
    [20, 1],
    [40, 0.5 ** 1.2],
    [10, 2 ** 1.2],
    [0.001, 16],
    [0, 16],
    [-1, 16],
  ])('gives %d s the score %d if the reference takes 20 s', (seconds, score) => {
    expect(scoreJob({ ...RUN, seconds }, EFFICIENCY)).toBeCloseTo(score, 12)
  })

  it('gives 0 without a reference time', () => {
    expect(scoreJob({ ...RUN, referenceSeconds: 0, seconds: 0 }, EFFICIENCY)).toBe(0)
    expect(scoreJob({ ...RUN, referenceSeconds: Number.NaN }, EFFICIENCY)).toBe(0)
  })
})

describe.each([RULE_2024, EFFICIENCY])('$name', scoring => {
  it('accepts a result up to one second after the timeout, and none later', () => {
    expect(isInTime(91, 90)).toBe(true)
    expect(isInTime(91.001, 90)).toBe(false)
    expect(scoreJob({ ...RUN, seconds: 91 }, scoring)).toBeGreaterThan(0)
    expect(scoreJob({ ...RUN, seconds: 91.001 }, scoring)).toBe(0)
    expect(scoreJob({ ...RUN, seconds: Number.NaN }, scoring)).toBe(0)
  })

  it.each([
    [0, 0],
    [0.5, 0.5],
    [1, 1],
    [7, 1],
    [-1, 0],
    [Number.NaN, 0],
  ])('multiplies the score by the quality: %d counts as %d', (quality, share) => {
    expect(scoreJob({ ...RUN, quality }, scoring)).toBeCloseTo(share * scoreJob(RUN, scoring), 12)
  })

  it('is finite, never negative, and never higher for a slower answer', () => {
    const seconds = fc.double({ min: 0, max: 1e6, noNaN: true })
    const limit = fc.double({ min: 0.1, max: 1e4, noNaN: true })
    const quality = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(seconds, seconds, limit, limit, quality, (a, b, timeoutSeconds, referenceSeconds, quality) => {
        const run = { timeoutSeconds, referenceSeconds, quality }
        const fast = scoreJob({ ...run, seconds: Math.min(a, b) }, scoring)
        const slow = scoreJob({ ...run, seconds: Math.max(a, b) }, scoring)
        expect(slow).toBeGreaterThanOrEqual(0)
        expect(fast).toBeLessThanOrEqual(16)
        expect(slow).toBeLessThanOrEqual(fast)
      }),
    )
  })
})
