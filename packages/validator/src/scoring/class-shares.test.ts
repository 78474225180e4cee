import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { classShares } from './class-shares.ts'

/** Classes by letter: weight, offered, demanded. */
const shares = (...classes: [weight: number, offered: number, demanded: number][]) => [
  ...classShares(
    classes.map(([weight, offered, demanded], i) => ({ name: String(i), weight, offered, demanded })),
  ).values(),
]

describe('the share of a class', () => {
  it.each([
    [
      'is its part of the weights where all offer enough',
      [
        [1, 4, 4],
        [3, 8, 4],
      ],
      [0.25, 0.75],
    ],
    ['is all of it for a class alone, however small', [[1, 0.01, 4]], [1]],
    [
      'is all of it for a class that alone has capacity',
      [
        [1, 0, 4],
        [1, 0.01, 4],
      ],
      [0, 1],
    ],
    [
      'is scaled by offered over demanded, and the rest goes to the other',
      [
        [1, 1, 4],
        [1, 40, 4],
      ],
      [0.125, 0.875],
    ],
    [
      'goes to the others in proportion to their weights',
      [
        [2, 0, 4],
        [1, 99, 4],
        [1, 99, 4],
      ],
      [0, 0.5, 0.5],
    ],
    [
      'is no more than the capacity of a class allows',
      [
        [2, 0, 4],
        [1, 6, 4],
        [1, 99, 4],
      ],
      [0, 0.375, 0.625],
    ],
    [
      'is by weight times capacity where all are short',
      [
        [1, 1, 4],
        [1, 3, 4],
      ],
      [0.25, 0.75],
    ],
    [
      'is nothing without a weight',
      [
        [0, 99, 4],
        [1, 1, 4],
      ],
      [0, 1],
    ],
    [
      'is nothing where there is nothing',
      [
        [1, 0, 4],
        [0, 7, 4],
      ],
      [0, 0],
    ],
  ] as [string, [number, number, number][], number[]][])('%s', (_, classes, expected) => {
    const made = shares(...classes)
    for (const [i, share] of made.entries()) expect(share).toBeCloseTo(expected[i] ?? Number.NaN, 12)
    expect(made).toHaveLength(expected.length)
  })

  const amount = (min: number, max: number) => fc.double({ min, max, noNaN: true })
  const standings = fc.array(
    fc.tuple(
      fc.oneof(fc.constant(0), amount(1e-9, 1e6)),
      fc.oneof(fc.constant(0), amount(1e-6, 1e5)),
      amount(0.01, 1e5),
    ),
    { minLength: 1, maxLength: 7 },
  )

  it('is 1 in all, never negative, never NaN, and above 0 just where there is weight and capacity', () => {
    fc.assert(
      fc.property(standings, classes => {
        const made = shares(...classes)
        const able = classes.map(([weight, offered]) => weight > 0 && offered > 0)
        expect(made.map(share => share > 0)).toEqual(able)
        const sum = made.reduce((a, b) => a + b, 0)
        expect(sum).toBeCloseTo(able.includes(true) ? 1 : 0, 9)
      }),
      { numRuns: 1_000 },
    )
  })

  it('of a class that is short is scaled, to the digit, while the others can take the rest', () => {
    fc.assert(
      fc.property(standings, classes => {
        const total = classes.reduce((sum, [weight]) => sum + weight, 0)
        const room = classes.reduce((sum, [weight, offered, demanded]) => sum + (weight * offered) / demanded, 0)
        fc.pre(total > 0 && room > total * 1.000001)
        const made = shares(...classes)
        for (const [i, [weight, offered, demanded]] of classes.entries()) {
          const own = weight / total
          if (offered < demanded) expect(made[i]).toBeCloseTo(own * (offered / demanded), 9)
          else expect(made[i]).toBeGreaterThanOrEqual(own * (1 - 1e-9))
        }
      }),
      { numRuns: 1_000 },
    )
  })

  it('never falls when the class offers more, and never jumps', () => {
    fc.assert(
      fc.property(standings, amount(1, 1.5), (classes, times) => {
        const [[weight, offered, demanded] = [1, 1, 1], ...others] = classes
        const before = shares(...classes)
        const after = shares([weight, offered * times, demanded], ...others)
        expect(after[0]).toBeGreaterThanOrEqual((before[0] ?? 0) - 1e-12)
        expect(after[0]).toBeLessThanOrEqual((before[0] ?? 0) * times + 1e-12)
        for (const [i, share] of after.entries()) if (i > 0) expect(share).toBeLessThanOrEqual((before[i] ?? 0) + 1e-12)
      }),
      { numRuns: 1_000 },
    )
  })
})
