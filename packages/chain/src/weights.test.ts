import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { roundHalfToEven } from './weights/floats.ts'
import { withEnoughEntries, withinMaxWeight } from './weights/repair.ts'
import { refusalOf, upscaled } from './weights/row.ts'
import { emitWeights, normalizeMaxWeight, processWeights, U16_MAX } from './weights/sdk.ts'
import { makeWeights, sharesOf, uniformWeights } from './weights.ts'

type Case = {
  name: string
  scores: number[]
  min_allowed_weights: number
  max_weights_limit_u16: number
  exclude_quantile_u16: number
  processed: { uids: number[]; weights: number[] }
  emitted: { uids: number[]; weights: number[] }
}
const file = new URL('../test/fixtures/weights.json', import.meta.url)
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: Case[] }

const settingsOf = (vector: Case) => ({
  minAllowedWeights: vector.min_allowed_weights,
  maxWeightsLimit: vector.max_weights_limit_u16,
  excludeQuantile: vector.exclude_quantile_u16,
})
const rulesOf = (vector: Case) => ({ ...settingsOf(vector), neurons: vector.scores.length })

describe('the SDK’s arithmetic', () => {
  it.each(cases)('equals the SDK: $name', vector => {
    const processed = processWeights(vector.scores, settingsOf(vector))
    expect({ uids: processed.uids, weights: [...processed.weights] }).toEqual(vector.processed)
    const { uids, weights } = emitWeights(processed.uids, processed.weights)
    expect({ uids, weights }).toEqual(vector.emitted)
  })

  it('rounds halves to the even neighbour', () => {
    expect([0.5, 1.5, 2.5, 2.4999, 2.5001].map(roundHalfToEven)).toEqual([0, 2, 2, 2, 3])
  })

  it('computes in the precision of its input', () => {
    expect([...normalizeMaxWeight(Float64Array.of(9, 1, 1, 1), 0.4)].map(w => w.toFixed(6))).toEqual([
      '0.400000',
      '0.200000',
      '0.200000',
      '0.200000',
    ])
    expect(normalizeMaxWeight(Float32Array.of(0, 0), 0.9)).toEqual(Float32Array.of(0.5, 0.5))
  })

  it('refuses what the SDK refuses to emit', () => {
    expect(() => emitWeights([], [])).toThrow(RangeError)
    expect(() => emitWeights([1, 2], [1])).toThrow(RangeError)
    expect(() => emitWeights([-1], [1])).toThrow(RangeError)
    expect(() => emitWeights([1], [-0.1])).toThrow(RangeError)
    expect(emitWeights([3, 4], [0, 0])).toMatchObject({ uids: [], weights: [] })
  })
})

describe('the chain’s checks of a row', () => {
  it.each([
    [
      [1, 2, 3],
      [21845, 43690, 65535],
    ],
    [
      [40000, 20000],
      [65535, 32767],
    ],
    [
      [33000, 1, 16500],
      [65535, 2, 32767],
    ],
    [
      [65535, 1],
      [65535, 1],
    ],
    [
      [0, 0],
      [0, 0],
    ],
    [
      [0, 5],
      [0, 65535],
    ],
    [[7], [65535]],
    [[], []],
  ])('upscales %j to %j, as real runtimes do', (sent, stored) => {
    expect(upscaled(sent)).toEqual(stored)
  })

  const rules = { neurons: 4, minAllowedWeights: 2, maxWeightsLimit: 32768, ownUid: 3 }
  it.each([
    ['UnequalLengths', [0, 1], [1]],
    ['TooManyUids', [0, 1, 2, 3, 3], [1, 1, 1, 1, 1]],
    ['DuplicateUids', [0, 0], [1, 1]],
    ['InvalidUid', [0, 4], [1, 1]],
    ['TooFewWeights', [0], [1]],
    ['MaxWeightExceeded', [0, 1], [2, 1]],
    [undefined, [0, 1], [1, 1]],
    [undefined, [3], [1]],
  ])('returns %s', (code, uids, weights) => {
    expect(refusalOf({ uids, weights }, rules)).toBe(code)
  })
})

describe('our repairs', () => {
  it('make every vector’s row pass the chain’s checks, and keep rows that pass already', () => {
    const refused = cases.filter(vector => refusalOf(vector.emitted, rulesOf(vector)) !== undefined)
    expect(refused.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['fewer non-zero than the minimum: base of 1e-5', 'random 0 n=64']),
    )
    for (const vector of cases) {
      const row = makeWeights({ scores: vector.scores, ...settingsOf(vector) })
      const impossible = vector.scores.length * vector.max_weights_limit_u16 < U16_MAX
      expect(refusalOf(row, rulesOf(vector)), vector.name).toBe(impossible ? 'MaxWeightExceeded' : undefined)
      if (!refused.includes(vector)) expect(row).toEqual(vector.emitted)
    }
  })

  it('(a) add entries that rounded to 0, the largest first and ties by lower uid', () => {
    const emitted = emitWeights([0, 1, 2, 3, 4], [2e-6, 1, 3e-6, 2e-6, 1e-6])
    expect(emitted.uids).toEqual([1])
    const rules = { neurons: 5, minAllowedWeights: 3, maxWeightsLimit: U16_MAX }
    expect(withEnoughEntries(emitted, rules)).toEqual({ uids: [0, 1, 2], weights: [1, U16_MAX, 1] })
    expect(withEnoughEntries(emitted, { ...rules, minAllowedWeights: 1 })).toEqual({ uids: [1], weights: [U16_MAX] })
    expect(withEnoughEntries(emitted, { ...rules, ownUid: 1 })).toEqual({ uids: [1], weights: [U16_MAX] })
  })

  it('(e) lower weights above the limit to floor(limit · sum / 65535)', () => {
    const rules = { neurons: 5, minAllowedWeights: 1, maxWeightsLimit: 19660 }
    const row = { uids: [1, 2, 3, 4], weights: [U16_MAX, 50000, 50000, 50000] }
    expect(refusalOf(row, rules)).toBe('MaxWeightExceeded')
    const first = Math.floor((19660 * (U16_MAX + 150000)) / U16_MAX)
    expect(first).toBe(64658)
    const repaired = withinMaxWeight(row, rules)
    expect(refusalOf(repaired, rules)).toBeUndefined()
    expect(repaired.weights.slice(1)).toEqual([50000, 50000, 50000])
    expect(repaired.weights[0]).toBeLessThanOrEqual(first)
    expect(repaired.weights[0]).toBeGreaterThan(first - 1000)
  })

  it('(e) add uids, the lowest first, when the limit needs more entries', () => {
    const rules = { neurons: 64, minAllowedWeights: 1, maxWeightsLimit: 6553 }
    const row = withinMaxWeight({ uids: [55], weights: [U16_MAX] }, rules)
    expect(row).toEqual({ uids: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 55], weights: new Array(11).fill(U16_MAX) })
    expect(withinMaxWeight({ uids: [55], weights: [U16_MAX] }, { ...rules, ownUid: 55 }).uids).toEqual([55])
  })

  it('make a row that passes from any scores, if such a row exists', () => {
    const score = fc.oneof(
      fc.constant(0),
      fc.double({ min: 0, max: 20, noNaN: true }),
      fc.double({ min: -1, max: 1e30, noNaN: true }),
      fc.integer({ min: -40, max: 20 }).map(power => 10 ** power),
    )
    const u16 = fc.oneof(
      fc.constantFrom(1, 655, 6553, 21845, 32767, 32768, 65534, U16_MAX),
      fc.integer({ min: 0, max: U16_MAX }),
    )
    const input = fc.record({
      scores: fc.array(score, { minLength: 1, maxLength: 80 }),
      minAllowedWeights: fc.integer({ min: 0, max: 90 }),
      maxWeightsLimit: u16,
      excludeQuantile: u16,
      ownUid: fc.nat(80),
    })
    fc.assert(
      fc.property(input, settings => {
        const row = makeWeights(settings)
        const rules = { ...settings, neurons: settings.scores.length }
        const possible = rules.neurons * rules.maxWeightsLimit >= U16_MAX
        expect(row.weights.every(weight => Number.isInteger(weight) && weight >= 1 && weight <= U16_MAX)).toBe(true)
        expect(row.uids).toEqual(row.uids.toSorted((a, b) => a - b))
        if (possible) expect(refusalOf(row, rules)).toBeUndefined()
        else expect([undefined, 'MaxWeightExceeded']).toContain(refusalOf(row, rules))
      }),
      { numRuns: 500 },
    )
  })
})

describe('makeWeights', () => {
  const settings = { minAllowedWeights: 1, maxWeightsLimit: U16_MAX }

  it('takes scores by uid and ignores uids that are not on the subnet', () => {
    const row = makeWeights({ ...settings, scores: [1, 2, 9], uids: [3, 0, 7], neurons: 5 })
    expect(row).toEqual({ uids: [0, 3], weights: [U16_MAX, 32768] })
  })

  it('makes a uniform row without scores above 0', () => {
    expect(makeWeights({ ...settings, scores: [], uids: [], neurons: 3 })).toEqual(uniformWeights(3))
    expect(makeWeights({ ...settings, scores: [0, 0] })).toEqual(uniformWeights(2))
    expect(sharesOf(uniformWeights(4))).toEqual([0.25, 0.25, 0.25, 0.25])
  })

  it('refuses scores that are not numbers', () => {
    expect(() => makeWeights({ ...settings, scores: [Number.NaN] })).toThrow(RangeError)
    expect(() => makeWeights({ ...settings, scores: [Number.POSITIVE_INFINITY] })).toThrow(RangeError)
  })
})
