import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nextTurn } from './batch-schedule.ts'

const WINDOW = 7_200_000
const NOON = Date.UTC(2026, 0, 1, 12)
const MINUTE = 60_000

const turnAt = (nowMs: number, rank: number, lastStartMs?: number) =>
  (nextTurn({ nowMs, windowMs: WINDOW, rank, validators: 24, lastStartMs }).startMs - NOON) / MINUTE

describe('nextTurn', () => {
  it('gives each rank its own turn in the window', () => {
    expect([0, 1, 23].map(rank => turnAt(NOON, rank))).toEqual([0, 5, 115])
  })

  it('still starts in the middle of its turn, and waits for the next window after it', () => {
    expect(turnAt(NOON + 6 * MINUTE, 1)).toBe(5)
    expect(turnAt(NOON + 10 * MINUTE, 1)).toBe(125)
  })

  it('has one turn a window, also when the rank changes', () => {
    expect(turnAt(NOON + 6 * MINUTE, 1, NOON + 5 * MINUTE)).toBe(125)
    expect(turnAt(NOON + 6 * MINUTE, 3, NOON + 5 * MINUTE)).toBe(135)
    expect(turnAt(NOON + 6 * MINUTE, 3, NOON - MINUTE)).toBe(15)
  })

  it('ignores a start that a wrong clock stored far in the future', () => {
    expect(turnAt(NOON, 1, NOON + 365 * 24 * 60 * MINUTE)).toBe(5)
    expect(turnAt(NOON + 119 * MINUTE, 23, NOON + 121 * MINUTE)).toBe(235)
  })

  it('never leaves its window, and never overlaps with another rank', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4e12 }),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 1_000, max: 86_400_000 }),
        fc.option(fc.integer({ min: 0, max: 10 * 86_400_000 }), { nil: undefined }),
        (nowMs, validators, windowMs, agoMs) => {
          const lastStartMs = agoMs === undefined ? undefined : nowMs - agoMs
          const turns = Array.from({ length: validators }, (_, rank) =>
            nextTurn({ nowMs, windowMs, rank, validators, lastStartMs }),
          )
          for (const [rank, { startMs, endMs }] of turns.entries()) {
            expect(endMs).toBeGreaterThan(nowMs)
            expect(startMs - nowMs).toBeLessThan(2 * windowMs)
            const offset = (((startMs % windowMs) + windowMs) % windowMs) / windowMs
            expect(Math.abs(offset - rank / validators)).toBeLessThan(1e-3)
          }
        },
      ),
    )
  })
})
