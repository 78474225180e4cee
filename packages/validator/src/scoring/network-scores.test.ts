import { describe, expect, it } from 'vitest'
import type { ClassTotals } from '../db/scores.ts'
import { type NetworkResults, type ScoringRules, scoreNetwork, sumOf } from './network-scores.ts'
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

const totalsOf = (hotkey: string, executorClass: string, sum: number, jobs = 1, excused = 0): ClassTotals => ({
  ...{ hotkey, executorClass, batches: 1, jobs, excused, sum },
})
const results = (totals: readonly ClassTotals[], over: Partial<NetworkResults> = {}): NetworkResults => ({
  ...{ scoring: 'efficiency', batches: 1, totals, requested: new Map() },
  ...over,
})
/** Returns each miner's score by hotkey. */
const earned = (made: NetworkResults, rules = RULES) =>
  new Map(scoreNetwork(made, rules).miners.map(({ hotkey, score }) => [hotkey, score]))
const of = (scores: ReadonlyMap<string, number>, ...hotkeys: string[]) =>
  hotkeys.reduce((sum, hotkey) => sum + (scores.get(hotkey) ?? 0), 0)

describe('sumOf', () => {
  it.each([
    ['is the sum of the jobs’ scores', 3, 0, 2.5, 2.5],
    ['counts an excused job as the mean of the others', 4, 1, 3, 4],
    ['is 0 if all were excused', 2, 2, 0, 0],
    ['is 0 without jobs', 0, 0, 0, 0],
  ])('%s', (_, jobs, excused, sum, expected) => {
    expect(sumOf({ batches: 1, jobs, excused, sum })).toBe(expected)
  })

  it.each([
    ['up to the number the miner usually has measured', 4, 3, 2, { mean: 1.5, jobsPerBatch: 4 }, 2 + 3 * 1.5],
    ['even if nothing was measured this time', 4, 4, 0, { mean: 1.5, jobsPerBatch: 4 }, 6],
    ['but not those of newly declared executors', 64, 63, 2, { mean: 2, jobsPerBatch: 1 }, 4],
    [
      'but hardly those of executors that failed when measured',
      64,
      63,
      2,
      { mean: 4 / 65, jobsPerBatch: 32.5 },
      2 + 31.5 * (4 / 65),
    ],
  ])('counts excused jobs %s', (_, jobs, excused, sum, averages, expected) => {
    expect(sumOf({ batches: 1, jobs, excused, sum, averages })).toBeCloseTo(expected)
  })
})

describe('scoreNetwork by 2024', () => {
  it('gives each miner the sum of its scores, whatever their class', () => {
    const totals = [
      totalsOf('a', GPU, 2),
      totalsOf('a', 'nonsense', 1.5),
      totalsOf('b', TEST, 3, 4, 1),
      totalsOf('c', LLM, 0),
    ]
    expect([...earned(results(totals, { scoring: '2024', batches: 7 }))]).toEqual([
      ['a', 3.5],
      ['b', 4],
      ['c', 0],
    ])
  })
})

describe('scoreNetwork by efficiency', () => {
  it('gives each miner its part of the class’s sum times the class’s share', () => {
    const totals = [totalsOf('a', GPU, 9), totalsOf('b', GPU, 3), totalsOf('b', LLM, 8), totalsOf('c', CPU, 8)]
    const { classes, miners } = scoreNetwork(results(totals), RULES)
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

  it('gives a lone slow executor only the share that its capacity allows', () => {
    const scores = earned(results([totalsOf('slow', LLM, 0.1), totalsOf('b', GPU, 100), totalsOf('c', CPU, 100)]))
    expect(scores.get('slow')).toBeCloseTo(0.5 * (0.1 / 4), 12)
    expect(of(scores, 'b', 'c')).toBeCloseTo(1 - 0.0125, 12)
  })

  it('divides capacity by the number of batches', () => {
    const one = scoreNetwork(results([totalsOf('a', GPU, 2), totalsOf('b', LLM, 50)]), RULES)
    const ten = scoreNetwork(results([totalsOf('a', GPU, 20, 10), totalsOf('b', LLM, 500, 10)], { batches: 10 }), RULES)
    expect(ten.classes.map(({ share, offered }) => [share, offered])).toEqual(
      one.classes.map(({ share, offered }) => [share, offered]),
    )
  })

  it('raises weight and demanded capacity of a class with the demand', () => {
    const week = 604_800
    const requested = new Map([[CPU, { executorSeconds: 10 * week, ran: 100, turnedAway: 0 }]])
    const totals = [totalsOf('a', GPU, 100), totalsOf('b', LLM, 100), totalsOf('c', CPU, 100)]
    const { classes } = scoreNetwork(results(totals, { requested }), RULES)
    const shares = new Map(classes.map(({ name, share }) => [name, share]))
    expect(classes.map(({ demandFactor, demanded }) => [demandFactor, demanded])).toEqual([
      [2, 10],
      [0.5, 4],
      [0.5, 4],
    ])
    expect(shares.get(CPU)).toBeCloseTo(2 / 3.5, 12)
    const short = scoreNetwork(results([...totals.slice(0, 2), totalsOf('c', CPU, 5)], { requested }), RULES)
    expect(short.classes[0]?.share).toBeCloseTo(1 / 3.5, 12)
  })

  it('scores test executors alone, but gives them nothing beside real ones', () => {
    const alone = earned(results([totalsOf('a', TEST, 1), totalsOf('b', TEST, 3)]), DEFAULT_SCORING_RULES)
    expect([...alone]).toEqual([
      ['a', 0.25],
      ['b', 0.75],
    ])
    const beside = earned(results([totalsOf('a', TEST, 10), totalsOf('b', GPU, 1)]), DEFAULT_SCORING_RULES)
    expect(Math.round(65_535 * ((beside.get('a') ?? 1) / (beside.get('b') ?? 1)))).toBe(1)
  })

  it('gives nothing for a class without a weight or an unknown class', () => {
    expect([...earned(results([totalsOf('a', TEST, 1), totalsOf('b', 'gpu', 1)]))]).toEqual([
      ['a', 0],
      ['b', 0],
    ])
  })
})
