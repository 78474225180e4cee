import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isInTime, scoreOf } from './score.ts'

describe('scoreOf', () => {
  it.each([
    [0, 90, 2],
    [45, 90, 1.5],
    [90, 90, 1],
    [22.5, 45, 1.5],
    [45, 45, 1],
  ])('%d s of %d s are worth %d', (seconds, timeout, score) => {
    expect(scoreOf(seconds, timeout)).toBeCloseTo(score, 12)
  })

  it('takes a result one second after the timeout, and none later', () => {
    expect(scoreOf(91, 90)).toBeCloseTo(2 * (1 - 91 / 180), 12)
    expect(isInTime(91, 90)).toBe(true)
    expect(scoreOf(91.001, 90)).toBe(0)
    expect(isInTime(91.001, 90)).toBe(false)
  })

  it('is never negative, never above 2, and never higher for a slower answer', () => {
    const seconds = fc.double({ min: 0, max: 1e6, noNaN: true })
    const timeout = fc.double({ min: 0.1, max: 1e4, noNaN: true })
    fc.assert(
      fc.property(seconds, seconds, timeout, (a, b, limit) => {
        const [fast, slow] = a < b ? [a, b] : [b, a]
        expect(scoreOf(slow, limit)).toBeGreaterThanOrEqual(0)
        expect(scoreOf(fast, limit)).toBeLessThanOrEqual(2)
        expect(scoreOf(slow, limit)).toBeLessThanOrEqual(scoreOf(fast, limit))
      }),
    )
  })
})
