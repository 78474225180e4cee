import { describe, expect, it } from 'vitest'
import { type NetworkResults, type ScoringRules, scoreNetwork, sumOf, type Tally } from './network-scores.ts'
import { DEFAULT_SCORING_RULES } from './settings.ts'

const GPU = 'always_on.gpu-24gb'
const LLM = 'always_on.llm.a6000'
const CPU = 'always_on.cpu.8c.16gb'
const TEST = 'always_on.test'

const RULES: ScoringRules = {
  ...DEFAULT_SCORING_RULES,
  classWeights: new Map([
    [GPU, 1],
    [LLM, 2],
    [CPU, 1],
  ]),
}

const tally = (hotkey: string, executorClass: string, sum: number, jobs = 1, excused = 0): Tally => ({
  ...{ hotkey, executorClass, batches: 1, jobs, excused, sum },
})
const results = (tallies: readonly Tally[], over: Partial<NetworkResults> = {}): NetworkResults => ({
  ...{ scoring: 'efficiency', batches: 1, tallies, asked: new Map() },
  ...over,
})
/** What each miner has earned, by hotkey. */
const earned = (made: NetworkResults, rules = RULES) =>
  new Map(scoreNetwork(made, rules).miners.map(({ hotkey, score }) => [hotkey, score]))
const of = (scores: ReadonlyMap<string, number>, ...hotkeys: string[]) =>
  hotkeys.reduce((sum, hotkey) => sum + (scores.get(hotkey) ?? 0), 0)

describe('the sum of a miner', () => {
  it.each([
    ['is that of its jobs', 3, 0, 2.5, 2.5],
    ['counts an excused job as the mean of the others', 4, 1, 3, 4],
    ['is nothing when all were excused', 2, 2, 0, 0],
    ['is nothing without jobs', 0, 0, 0, 0],
  ])('%s', (_, jobs, excused, sum, expected) => {
    expect(sumOf({ batches: 1, jobs, excused, sum })).toBe(expected)
  })

  it.each([
    ['as far as the miner usually has so many measured', 4, 3, 2, { mean: 1.5, jobsPerBatch: 4 }, 2 + 3 * 1.5],
    ['also when nothing was measured this time', 4, 4, 0, { mean: 1.5, jobsPerBatch: 4 }, 6],
    ['but not for executors that were declared for the occasion', 64, 63, 2, { mean: 2, jobsPerBatch: 1 }, 4],
    [
      'nor for those that were measured, and were not there',
      64,
      63,
      2,
      { mean: 4 / 65, jobsPerBatch: 32.5 },
      2 + 31.5 * (4 / 65),
    ],
  ])('counts excused jobs %s', (_, jobs, excused, sum, usual, expected) => {
    expect(sumOf({ batches: 1, jobs, excused, sum, usual })).toBeCloseTo(expected)
  })
})

describe('2024', () => {
  it('gives each miner the sum of its scores, whatever their class', () => {
    const tallies = [tally('a', GPU, 2), tally('a', 'nonsense', 1.5), tally('b', TEST, 3, 4, 1), tally('c', LLM, 0)]
    expect([...earned(results(tallies, { scoring: '2024', batches: 7 }))]).toEqual([
      ['a', 3.5],
      ['b', 4],
      ['c', 0],
    ])
  })
})

describe('efficiency', () => {
  it('gives each miner its part of the sum of its class, and the class its share', () => {
    const tallies = [tally('a', GPU, 9), tally('b', GPU, 3), tally('b', LLM, 8), tally('c', CPU, 8)]
    const { classes, miners } = scoreNetwork(results(tallies), RULES)
    expect(classes.map(({ name, share, offered, demanded }) => [name, share, offered, demanded])).toEqual([
      [CPU, 0.25, 8, 4],
      [GPU, 0.25, 12, 4],
      [LLM, 0.5, 8, 4],
    ])
    expect(miners.map(({ hotkey, score }) => [hotkey, score])).toEqual([
      ['a', 0.1875],
      ['b', 0.5625],
      ['c', 0.25],
    ])
    expect(miners[1]?.classes).toEqual([
      { name: GPU, jobs: 1, excused: 0, sum: 3, ofClass: 0.25, part: 0.0625 },
      { name: LLM, jobs: 1, excused: 0, sum: 8, ofClass: 1, part: 0.5 },
    ])
  })

  it('leaves a lone slow executor just what it can carry of the share of its class', () => {
    const scores = earned(results([tally('slow', LLM, 0.1), tally('b', GPU, 100), tally('c', CPU, 100)]))
    expect(scores.get('slow')).toBeCloseTo(0.5 * (0.1 / 4), 12)
    expect(of(scores, 'b', 'c')).toBeCloseTo(1 - 0.0125, 12)
  })

  it('measures capacity by batch, so that more batches are no more executors', () => {
    const one = scoreNetwork(results([tally('a', GPU, 2), tally('b', LLM, 50)]), RULES)
    const ten = scoreNetwork(results([tally('a', GPU, 20, 10), tally('b', LLM, 500, 10)], { batches: 10 }), RULES)
    expect(ten.classes.map(({ share, offered }) => [share, offered])).toEqual(
      one.classes.map(({ share, offered }) => [share, offered]),
    )
  })

  it('lets demand weigh a class, and ask for more of its capacity', () => {
    const week = 604_800
    const asked = new Map([[CPU, { executorSeconds: 10 * week, ran: 100, turnedAway: 0 }]])
    const tallies = [tally('a', GPU, 100), tally('b', LLM, 100), tally('c', CPU, 100)]
    const { classes } = scoreNetwork(results(tallies, { asked }), RULES)
    const shares = new Map(classes.map(({ name, share }) => [name, share]))
    expect(classes.map(({ demandFactor, demanded }) => [demandFactor, demanded])).toEqual([
      [2, 10],
      [0.5, 4],
      [0.5, 4],
    ])
    expect(shares.get(CPU)).toBeCloseTo(2 / 3.5, 12)
    const short = scoreNetwork(results([...tallies.slice(0, 2), tally('c', CPU, 5)], { asked }), RULES)
    expect(short.classes[0]?.share).toBeCloseTo(1 / 3.5, 12)
  })

  it('weighs a horde for tests by what it does, and gives it nothing beside a real one', () => {
    const alone = earned(results([tally('a', TEST, 1), tally('b', TEST, 3)]), DEFAULT_SCORING_RULES)
    expect([...alone]).toEqual([
      ['a', 0.25],
      ['b', 0.75],
    ])
    const beside = earned(results([tally('a', TEST, 10), tally('b', GPU, 1)]), DEFAULT_SCORING_RULES)
    expect(Math.round(65_535 * ((beside.get('a') ?? 1) / (beside.get('b') ?? 1)))).toBe(1)
  })

  it('gives nothing for a class without a weight, or that nobody knows', () => {
    expect([...earned(results([tally('a', TEST, 1), tally('b', 'gpu', 1)]))]).toEqual([
      ['a', 0],
      ['b', 0],
    ])
  })
})
