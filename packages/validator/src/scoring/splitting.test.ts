/**
 * Compares the scores of one executor behind two hotkeys, whose jobs run at once, with the same executor behind one.
 */

import { readSettings } from '@horde/kit/config'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Scoring, scoreJob } from './job-score.ts'
import { scoringOf, scoringSettings } from './settings.ts'

const EFFICIENCY = scoringOf(readSettings(scoringSettings, {}))
const RULE_2024: Scoring = { name: '2024' }

/** A job. All values are in seconds. */
interface Job {
  /** Takes the same whatever else runs. */
  fixed: number
  /** GPU time; shared with other jobs on the GPU. */
  computing: number
  timeout: number
  /** Total time of the reference. */
  reference: number
}

/** Returns the total score of `hotkeys` hotkeys whose jobs share one GPU. */
function earned({ fixed, computing, timeout, reference }: Job, hotkeys: number, scoring: Scoring): number {
  const seconds = fixed + hotkeys * computing
  const run = { seconds, timeoutSeconds: timeout, referenceSeconds: reference, quality: 1 }
  return hotkeys * scoreJob(run, scoring)
}

const gain = (job: Job, scoring: Scoring) => earned(job, 2, scoring) / earned(job, 1, scoring)

describe('the gain of two hotkeys over one', () => {
  // A job that takes 10 s alone, as the reference does, with a timeout of 90 s. This is the table in docs/scoring.md.
  it.each([
    [0, 0.87, 1.88],
    [0.05, 0.9, 1.89],
    [0.1, 0.93, 1.89],
    [0.15, 0.96, 1.9],
    [0.2, 0.99, 1.91],
    [0.25, 1.02, 1.91],
    [0.5, 1.23, 1.94],
  ])('is, with a fixed part of %d, %d by efficiency and %d by 2024', (share, byEfficiency, by2024) => {
    const job = { fixed: 10 * share, computing: 10 * (1 - share), timeout: 90, reference: 10 }
    expect(gain(job, EFFICIENCY)).toBeCloseTo(byEfficiency, 2)
    expect(gain(job, RULE_2024)).toBeCloseTo(by2024, 2)
  })
})

const seconds = (min: number, max: number) => fc.double({ min, max, noNaN: true })
/** Jobs of any length whose fixed part is under 20 %, on executors up to ten times as fast as the reference. */
const jobs = fc
  .record({
    alone: seconds(0.1, 1_000),
    fixedShare: seconds(0, 0.2),
    timeout: seconds(0.1, 3_000),
    speed: seconds(0.001, 10),
  })
  .map(({ alone, fixedShare, timeout, speed }) => ({
    fixed: alone * fixedShare,
    computing: alone * (1 - fixedShare),
    timeout,
    reference: alone * speed,
  }))

describe('by efficiency', () => {
  it('several hotkeys never earn more than one while the fixed part is under 20 %', () => {
    fc.assert(
      fc.property(jobs, fc.integer({ min: 2, max: 50 }), (job, hotkeys) => {
        expect(earned(job, hotkeys, EFFICIENCY)).toBeLessThanOrEqual(earned(job, 1, EFFICIENCY))
      }),
      { numRuns: 1_000 },
    )
  })

  it('two hotkeys lose at least 1 % if the job comes in time', () => {
    fc.assert(
      fc.property(jobs, job => {
        fc.pre(earned(job, 1, EFFICIENCY) > 0)
        expect(gain(job, EFFICIENCY)).toBeLessThan(0.99)
      }),
      { numRuns: 1_000 },
    )
  })

  it('two hotkeys gain once one alone reaches the cap, at ten times the reference speed', () => {
    const fast = { fixed: 0, computing: 1, timeout: 90, reference: 10 }
    expect(gain(fast, EFFICIENCY)).toBeLessThan(1)
    expect(gain({ ...fast, reference: 20 }, EFFICIENCY)).toBeCloseTo((2 * 10 ** 1.2) / 16, 6)
    expect(EFFICIENCY.name === 'efficiency' && EFFICIENCY.cap ** (1 / EFFICIENCY.exponent)).toBeGreaterThan(10)
  })
})

describe('work of random length', () => {
  /** Returns the gain of two hotkeys over one, for pieces of work from 0 to 18 s. */
  const gainOver = (referenceOf: (computing: number) => number) => {
    const pieces = Array.from({ length: 1_000 }, (_, i) => ((i + 0.5) / 1_000) * 18)
    const sum = (hotkeys: number) =>
      pieces
        .map(computing => ({ fixed: 0, computing, timeout: 90, reference: referenceOf(computing) }))
        .reduce((all, job) => all + earned(job, hotkeys, EFFICIENCY), 0)
    return sum(2) / sum(1)
  }

  it('two hotkeys lose with the reference of each piece, and gain with the reference of the mean piece', () => {
    expect(gainOver(computing => computing)).toBeCloseTo(0.87, 2)
    expect(gainOver(() => 9)).toBeCloseTo(1.11, 2)
  })
})

describe('work that ends with the last of several passwords', () => {
  /**
   * Returns lengths of work, as parts of the key space, in even steps of probability. The work ends with the last of
   * `passwords` random places in the key space.
   */
  const pieces = (passwords: number) => Array.from({ length: 300 }, (_, i) => ((i + 0.5) / 300) ** (1 / passwords))
  const mean = (numbers: number[]) => numbers.reduce((sum, each) => sum + each, 0) / numbers.length
  const scored = (seconds: number, reference: number) =>
    scoreJob({ seconds, timeoutSeconds: 90, referenceSeconds: reference, quality: 1 }, EFFICIENCY)

  /**
   * Returns the gain of two hotkeys over one. Each draws its own piece. They share the GPU until the shorter piece is
   * done; then the other has it alone.
   */
  function gainBySplitting(passwords: number, fixedShare: number): number {
    const computing = passwords / (passwords + 1)
    const fixed = (computing * fixedShare) / (1 - fixedShare)
    const reference = fixed + computing
    const one = mean(pieces(passwords).map(piece => scored(fixed + piece, reference)))
    const pairs = pieces(passwords).flatMap(mine => pieces(passwords).map(other => [mine, other] as const))
    const first = ([mine, other]: readonly [number, number]) => fixed + Math.min(2 * mine, mine + other)
    return (2 * mean(pairs.map(pair => scored(first(pair), reference)))) / one
  }

  // This is the table in docs/scoring.md.
  it.each([
    [0, 1.19, 0.89, 0.87],
    [0.1, 1.26, 0.94, 0.93],
    [0.2, 1.33, 1, 0.99],
  ])(
    'gains, with a fixed part of %d, %d with 1 password, %d with 16 and %d with 64',
    (fixedShare, one, sixteen, all) => {
      expect(gainBySplitting(1, fixedShare)).toBeCloseTo(one, 1)
      expect(gainBySplitting(16, fixedShare)).toBeCloseTo(sixteen, 2)
      expect(gainBySplitting(64, fixedShare)).toBeCloseTo(all, 2)
    },
  )

  it('two hotkeys lose with 64 passwords while the fixed part is under 20 %', () => {
    for (const fixedShare of [0, 0.05, 0.1, 0.15, 0.199]) expect(gainBySplitting(64, fixedShare)).toBeLessThan(1)
  })
})

describe('by 2024', () => {
  it('two hotkeys earn more if one finishes within two thirds of the timeout', () => {
    fc.assert(
      fc.property(jobs, job => {
        const alone = job.fixed + job.computing
        fc.pre(alone > 0.01 && alone < (2 / 3) * job.timeout && job.fixed + 2 * job.computing <= job.timeout)
        expect(gain(job, RULE_2024)).toBeGreaterThan(1)
      }),
    )
  })
})
