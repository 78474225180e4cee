/** Properties of the weights over random networks: what a miner cannot gain by, and what cannot cost it anything. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ClassTotals } from '../db/scores.ts'
import { scoreJob } from './job-score.ts'
import { type NetworkResults, type ScoringRules, scoreNetwork, sumOf } from './network-scores.ts'
import { DEFAULT_SCORING_RULES } from './settings.ts'

const GPU = 'always_on.gpu-24gb'
const LLM = 'always_on.llm.a6000'
const CPU = 'always_on.cpu.8c.16gb'
const TEST = 'always_on.test'
const HOTKEYS = ['a', 'b', 'c', 'd', 'e']
/** Tolerance for rounding. */
const EPSILON = 1e-9

const amount = (min: number, max: number) => fc.double({ min, max, noNaN: true })
const classes = fc.constantFrom(GPU, LLM, CPU, TEST)
const totals: fc.Arbitrary<ClassTotals[]> = fc.uniqueArray(
  fc
    .record({
      hotkey: fc.constantFrom(...HOTKEYS),
      executorClass: classes,
      jobs: fc.integer({ min: 1, max: 40 }),
      sum: fc.oneof(fc.constant(0), amount(1e-6, 1e3)),
    })
    .map(each => ({ ...each, batches: 1, excused: 0 })),
  { maxLength: 16, selector: each => `${each.hotkey} ${each.executorClass}` },
)
const requested = fc
  .array(fc.tuple(classes, amount(0, 1e8), fc.integer({ min: 1, max: 1_000 }), fc.nat(1_000)))
  .map(
    rows =>
      new Map(rows.map(([name, executorSeconds, ran, turnedAway]) => [name, { executorSeconds, ran, turnedAway }])),
  )
const networks: fc.Arbitrary<NetworkResults> = fc.record({
  ...{ scoring: fc.constant('efficiency' as const), batches: fc.integer({ min: 1, max: 12 }), totals, requested },
})
const weight = fc.oneof(fc.constant(0), amount(1e-3, 10))
const rules: fc.Arbitrary<ScoringRules> = fc
  .tuple(weight, weight, weight, fc.constantFrom(1e-6, 1), amount(0.1, 50))
  .map(([gpu, llm, cpu, test, capacityFloor]) => ({
    ...DEFAULT_SCORING_RULES,
    classWeights: new Map([
      [GPU, gpu],
      [LLM, llm],
      [CPU, cpu],
      [TEST, test],
    ]),
    capacityFloor,
  }))

/** Returns each miner's score by hotkey. */
const earned = (results: NetworkResults, rules: ScoringRules) =>
  new Map(scoreNetwork(results, rules).miners.map(({ hotkey, score }) => [hotkey, score]))
const of = (scores: ReadonlyMap<string, number>, ...hotkeys: string[]) =>
  hotkeys.reduce((sum, hotkey) => sum + (scores.get(hotkey) ?? 0), 0)

/** Changes the results of one miner in one class; undefined if there are no results. */
function changed(
  results: NetworkResults,
  at: number,
  change: (old: ClassTotals) => ClassTotals[],
): NetworkResults | undefined {
  const { totals } = results
  if (totals.length === 0) return undefined
  return { ...results, totals: totals.flatMap((each, i) => (i === at % totals.length ? change(each) : [each])) }
}

const expectSame = (before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>) => {
  for (const hotkey of HOTKEYS) expect(of(after, hotkey)).toBeCloseTo(of(before, hotkey), 9)
}

describe('scores by efficiency', () => {
  it('sum to 1, or to 0 if no class with a weight has a score, and are never negative, infinite or NaN', () => {
    fc.assert(
      fc.property(networks, rules, (results, rules) => {
        const scores = [...earned(results, rules).values()]
        expect(scores.every(score => score >= 0 && score <= 1 + EPSILON)).toBe(true)
        const worth = results.totals.some(
          ({ executorClass, sum }) => sum * (rules.classWeights.get(executorClass) ?? 0) > 0,
        )
        expect(scores.reduce((a, b) => a + b, 0)).toBeCloseTo(worth ? 1 : 0, 9)
      }),
      { numRuns: 1_000 },
    )
  })

  it('give a share to every class that has a weight and a score', () => {
    fc.assert(
      fc.property(networks, rules, (results, rules) => {
        for (const { operatorWeight, sum, share } of scoreNetwork(results, rules).classes) {
          expect(share > 0).toBe(operatorWeight > 0 && sum > 0)
        }
      }),
    )
  })

  it('never fall for a miner that gets faster or offers more', () => {
    fc.assert(
      fc.property(networks, rules, fc.nat(15), amount(1, 3), amount(0, 10), (results, rules, at, times, more) => {
        const after = changed(results, at, old => [{ ...old, sum: old.sum * times + more }])
        const who = results.totals[at % results.totals.length]?.hotkey ?? ''
        if (after)
          expect(of(earned(after, rules), who)).toBeGreaterThanOrEqual(of(earned(results, rules), who) - EPSILON)
      }),
      { numRuns: 2_000 },
    )
  })

  it('never rise for an executor behind two hotkeys while the fixed part of a job is under 20 %', () => {
    const split = fc.record({
      alone: amount(0.1, 100),
      fixedShare: amount(0, 0.2),
      speed: amount(0.05, 10),
      timeout: amount(1, 1_000),
    })
    const scoring = { name: 'efficiency', exponent: 1.2, cap: 16 } as const
    fc.assert(
      fc.property(
        networks,
        rules,
        classes,
        split,
        (results, rules, executorClass, { alone, fixedShare, speed, timeout }) => {
          const run = { timeoutSeconds: timeout, referenceSeconds: alone * speed, quality: 1 }
          const sumOfJob = (seconds: number) => results.batches * scoreJob({ ...run, seconds }, scoring)
          const totalsOf = (hotkey: string, sum: number) => ({
            hotkey,
            executorClass,
            batches: results.batches,
            jobs: results.batches,
            excused: 0,
            sum,
          })
          const beside = (...own: ClassTotals[]) => earned({ ...results, totals: [...results.totals, ...own] }, rules)
          const together = sumOfJob(alone * (2 - fixedShare))
          const one = of(beside(totalsOf('one', sumOfJob(alone))), 'one')
          const two = of(beside(totalsOf('half', together), totalsOf('other half', together)), 'half', 'other half')
          expect(two).toBeLessThanOrEqual(one + EPSILON)
        },
      ),
      { numRuns: 1_000 },
    )
  })

  it('do not change by declared executors that do nothing, in any class', () => {
    fc.assert(
      fc.property(
        networks,
        rules,
        classes,
        fc.integer({ min: 1, max: 1_000 }),
        (results, rules, executorClass, jobs) => {
          const idle = { hotkey: 'e', executorClass, batches: 1, jobs, excused: 0, sum: 0 }
          const totals = [...results.totals, idle]
          expectSame(earned(results, rules), earned({ ...results, totals }, rules))
        },
      ),
    )
  })

  it('depend neither on hotkeys nor on the order', () => {
    const renamed = new Map(HOTKEYS.map((hotkey, i) => [hotkey, `${9 - i}${hotkey}`]))
    fc.assert(
      fc.property(networks, rules, (results, rules) => {
        const scores = earned(results, rules)
        expectSame(scores, earned({ ...results, totals: results.totals.toReversed() }, rules))
        const totals = results.totals.map(each => ({ ...each, hotkey: renamed.get(each.hotkey) ?? '' }))
        const others = earned({ ...results, totals }, rules)
        for (const [hotkey, name] of renamed) expect(of(others, name)).toBeCloseTo(of(scores, hotkey), 9)
      }),
    )
  })

  it('at most double by excused jobs of executors that were never measured', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 1_000 }),
        amount(0, 1e3),
        (measured, excused, sum) => {
          const averages = { mean: sum / measured, jobsPerBatch: measured }
          const declared = { batches: 1, jobs: measured + excused, excused, sum, averages }
          expect(sumOf(declared)).toBeLessThanOrEqual(2 * sum + EPSILON)
        },
      ),
    )
  })

  it('are the same for an excused job and for a job with the mean score of the others', () => {
    fc.assert(
      fc.property(networks, rules, fc.nat(15), fc.integer({ min: 1, max: 40 }), (results, rules, at, more) => {
        const excused = changed(results, at, old => {
          const averages = { mean: old.sum / old.jobs, jobsPerBatch: old.jobs + more }
          return [{ ...old, jobs: old.jobs + more, excused: more, averages }]
        })
        const asGood = changed(results, at, old => [
          { ...old, jobs: old.jobs + more, sum: (old.sum * (old.jobs + more)) / old.jobs },
        ])
        if (excused && asGood) expectSame(earned(asGood, rules), earned(excused, rules))
      }),
    )
  })

  it('depend only on relative speed if every class has enough capacity or only one has scores', () => {
    fc.assert(
      fc.property(networks, rules, amount(0.01, 100), (results, rules, times) => {
        const totals = results.totals.map(each => ({ ...each, sum: each.sum * times }))
        const [made, scaled] = [results, { ...results, totals }].map(each => scoreNetwork(each, rules))
        const weighted = [...(made?.classes ?? []), ...(scaled?.classes ?? [])].filter(
          ({ operatorWeight }) => operatorWeight > 0,
        )
        const enough = weighted.every(({ offered, demanded }) => offered >= demanded)
        const alone = new Set(weighted.filter(({ sum }) => sum > 0).map(({ name }) => name)).size === 1
        fc.pre(enough || alone)
        expectSame(earned(results, rules), earned({ ...results, totals }, rules))
      }),
    )
  })
})

describe('scores by 2024', () => {
  it('are sums, never negative, and never fall for a miner that gets faster', () => {
    fc.assert(
      fc.property(networks, amount(0, 10), fc.nat(15), (results, more, at) => {
        const old = { ...results, scoring: '2024' as const }
        const faster = changed(old, at, each => [{ ...each, sum: each.sum + more }]) ?? old
        const [before, after] = [earned(old, DEFAULT_SCORING_RULES), earned(faster, DEFAULT_SCORING_RULES)]
        for (const hotkey of HOTKEYS) {
          const own = old.totals.filter(each => each.hotkey === hotkey)
          expect(of(before, hotkey)).toBeCloseTo(
            own.map(sumOf).reduce((a, b) => a + b, 0),
            6,
          )
          expect(of(after, hotkey)).toBeGreaterThanOrEqual(of(before, hotkey))
        }
      }),
    )
  })
})
