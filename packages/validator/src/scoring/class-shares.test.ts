import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { classShares } from './class-shares.ts'

/** Computes the shares of unnamed classes. */
const shares = (...classes: [weight: number, offered: number, demanded: number][]) => [
  ...classShares(
    classes.map(([weight, offered, demanded], i) => ({ name: String(i), weight, offered, demanded })),
  ).values(),
]

describe('classShares', () => {
  it.each([
    [
      'is the base share if all offer enough',
      [
        [1, 4, 4],
        [3, 8, 4],
      ],
      [0.25, 0.75],
    ],
    ['is 1 for the only class, however small', [[1, 0.01, 4]], [1]],
    [
      'is 1 for the only class with capacity',
      [
        [1, 0, 4],
        [1, 0.01, 4],
      ],
      [0, 1],
    ],
    [
      'shrinks by offered / demanded, and the rest goes to the other class',
      [
        [1, 1, 4],
        [1, 40, 4],
      ],
      [0.125, 0.875],
    ],
    [
      'gives the rest to the others in proportion to their weights',
      [
        [2, 0, 4],
        [1, 99, 4],
        [1, 99, 4],
      ],
      [0, 0.5, 0.5],
    ],
    [
      'is limited by the capacity of a class',
      [
        [2, 0, 4],
        [1, 6, 4],
        [1, 99, 4],
      ],
      [0, 0.375, 0.625],
    ],
    [
      'is proportional to weight times capacity if all offer too little',
      [
        [1, 1, 4],
        [1, 3, 4],
      ],
      [0.25, 0.75],
    ],
    [
      'is 0 without a weight',
      [
        [0, 99, 4],
        [1, 1, 4],
      ],
      [0, 1],
    ],
    [
      'is 0 for all if no class has both weight and capacity',
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
  const capacities = fc.array(
    fc.tuple(
      fc.oneof(fc.constant(0), amount(1e-9, 1e6)),
      fc.oneof(fc.constant(0), amount(1e-6, 1e5)),
      amount(0.01, 1e5),
    ),
    { minLength: 1, maxLength: 7 },
  )

  it('sums to 1, is never negative or NaN, and is above 0 exactly with weight and capacity', () => {
    fc.assert(
      fc.property(capacities, classes => {
        const made = shares(...classes)
        const able = classes.map(([weight, offered]) => weight > 0 && offered > 0)
        expect(made.map(share => share > 0)).toEqual(able)
        const sum = made.reduce((a, b) => a + b, 0)
        expect(sum).toBeCloseTo(able.includes(true) ? 1 : 0, 9)
      }),
      { numRuns: 1_000 },
    )
  })

  it('shrinks exactly by offered / demanded while the others can take the rest', () => {
    fc.assert(
      fc.property(capacities, classes => {
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

  it('never falls when the class offers more, and changes continuously', () => {
    fc.assert(
      fc.property(capacities, amount(1, 1.5), (classes, times) => {
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
