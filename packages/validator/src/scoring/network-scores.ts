import type { ScoringName } from '../db/schema.ts'
import { classShares } from './class-shares.ts'
import type { ClassWeights } from './class-weights.ts'
import { type Asked, type DemandRules, demandFactors, executorSecondsAsked } from './demand.ts'
import type { ClassExplanation, ClassResult, MinerExplanation } from './explanation.ts'

/** The jobs of a miner in a class. */
export interface Tally {
  hotkey: string
  executorClass: string
  /** How many batches they are of. */
  batches: number
  jobs: number
  /** Of these, without a score: by the validator's own fault they could not be measured. */
  excused: number
  /** Of the scores. */
  sum: number
  /** What is usual for the miner in this class. Needed only where jobs were excused. */
  usual?: Usual | undefined
}

/** A miner's measured jobs of a class in the window, those that weights were made of already too. */
export interface Usual {
  /** Of their scores. */
  mean: number
  /** How many were measured in a batch in which any was. */
  jobsPerBatch: number
}

export interface ScoringRules {
  /** How long ago a batch may have started to count, in seconds. */
  windowSeconds: number
  classWeights: ClassWeights
  demand: DemandRules
  /** How many executors of reference speed are demanded of a class at least; above 0. */
  capacityFloor: number
}

export interface NetworkResults {
  scoring: ScoringName
  /** How many batches the tallies are of. */
  batches: number
  tallies: readonly Tally[]
  /** What users asked for, by class. */
  asked: ReadonlyMap<string, Asked>
}

export interface NetworkScores {
  classes: ClassExplanation[]
  miners: MinerExplanation[]
}

/**
 * The sum of a miner's scores, in which an excused job counts as the mean of its measured ones in the window. It counts as
 * far as the miner usually has so many jobs measured, or else as many as were measured this time: whoever declares
 * executors that it has not got gains little by being excused.
 */
export function sumOf({ batches, jobs, excused, sum, usual }: Omit<Tally, 'hotkey' | 'executorClass'>): number {
  if (excused === 0) return sum
  const measured = jobs - excused
  const mean = usual?.mean ?? (measured > 0 ? sum / measured : 0)
  const missing = (usual?.jobsPerBatch ?? 0) * batches - measured
  return sum + mean * Math.min(excused, Math.max(measured, missing))
}

/**
 * From what miners did to what each has earned. By `2024` a miner's score is the sum of its jobs'. By `efficiency` it is
 * its part of 1: of each class's sum, times the class's share. docs/scoring.md has the formulas and their limits.
 */
export function scoreNetwork(results: NetworkResults, rules: ScoringRules): NetworkScores {
  if (results.scoring === '2024') return { classes: [], miners: byMiner(results.tallies, resultOf2024) }
  const classes = classesOf(results, rules)
  const byName = new Map(classes.map(each => [each.name, each]))
  const resultOf = (tally: Tally): ClassResult => {
    const { executorClass: name, jobs, excused } = tally
    const sum = sumOf(tally)
    const { sum: classSum, share } = byName.get(name) ?? { sum: 0, share: 0 }
    const ofClass = classSum > 0 ? sum / classSum : 0
    return { name, jobs, excused, sum, ofClass, part: ofClass * share }
  }
  return { classes, miners: byMiner(results.tallies, tallies => tallies.map(resultOf)) }
}

function resultOf2024(tallies: readonly Tally[]): ClassResult[] {
  const jobs = total(tallies.map(each => each.jobs))
  const excused = total(tallies.map(each => each.excused))
  const sum = total(tallies.map(sumOf))
  return [{ name: null, jobs, excused, sum, ofClass: 0, part: sum }]
}

function byMiner(tallies: readonly Tally[], resultsOf: (own: readonly Tally[]) => ClassResult[]): MinerExplanation[] {
  return [...Map.groupBy(tallies, ({ hotkey }) => hotkey)].map(([hotkey, own]) => {
    const classes = resultsOf(own)
    return { hotkey, score: total(classes.map(({ part }) => part)), classes }
  })
}

/** Every class that has a weight, or in which somebody did something. */
function classesOf({ batches, tallies, asked }: NetworkResults, rules: ScoringRules): ClassExplanation[] {
  const { classWeights, demand, capacityFloor } = rules
  const weighted = [...classWeights].filter(([, weight]) => weight > 0).map(([name]) => name)
  const seconds = new Map(weighted.map(name => [name, secondsOf(asked.get(name))]))
  const factors = demandFactors(seconds, demand)
  const names = [...new Set([...weighted, ...tallies.map(({ executorClass }) => executorClass)])].sort()
  const classes = names.map(name => {
    const sum = total(tallies.filter(({ executorClass }) => executorClass === name).map(sumOf))
    const demandSeconds = secondsOf(asked.get(name))
    return {
      ...{ name, operatorWeight: classWeights.get(name) ?? 0, demandSeconds, demandFactor: factors.get(name) ?? 1 },
      ...{ sum, offered: batches > 0 ? sum / batches : 0, share: 0 },
      demanded: Math.max(capacityFloor, demandSeconds / demand.windowSeconds),
    }
  })
  const standings = classes.map(each => ({ ...each, weight: each.operatorWeight * each.demandFactor }))
  const shares = classShares(standings)
  return classes.map(each => ({ ...each, share: shares.get(each.name) ?? 0 }))
}

const secondsOf = (asked: Asked | undefined): number => (asked ? executorSecondsAsked(asked) : 0)

const total = (numbers: readonly number[]): number => numbers.reduce((sum, each) => sum + each, 0)
