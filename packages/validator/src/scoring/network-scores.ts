import type { ClassExplanation, ClassResult, MinerExplanation, ScoringName } from '../db/json-columns.ts'
import type { ClassTotals, RequestedWork } from '../db/scores.ts'
import { type ClassWeights, classShares, type DemandRules, demandFactors, requestedSeconds } from './class-shares.ts'

/** How the results of jobs become scores. */
export interface ScoringRules {
  /** How far back batches count, in seconds. */
  windowSeconds: number
  classWeights: ClassWeights
  demand: DemandRules
  /** The least capacity demanded of a class, in executors of reference speed; above 0. */
  capacityFloor: number
}

/** All results that count for the next weights. */
export interface NetworkResults {
  scoring: ScoringName
  /** Number of batches that the totals cover. */
  batches: number
  totals: readonly ClassTotals[]
  /** The work that users requested, by class. */
  requested: ReadonlyMap<string, RequestedWork>
}

/** The scores of all miners, and how they were computed. */
export interface NetworkScores {
  classes: ClassExplanation[]
  miners: MinerExplanation[]
}

/**
 * Returns the sum of a miner's scores, with an excused job counted as the mean of the miner's measured jobs in the
 * window. The number of excused jobs that count is limited to what the miner usually has measured, or to what was
 * measured this time. So a miner gains little by declaring executors that it does not have.
 */
export function sumOf({
  batches,
  jobs,
  excused,
  sum,
  averages,
}: Omit<ClassTotals, 'hotkey' | 'executorClass'>): number {
  if (excused === 0) return sum
  const measured = jobs - excused
  const mean = averages?.mean ?? (measured > 0 ? sum / measured : 0)
  const missing = (averages?.jobsPerBatch ?? 0) * batches - measured
  return sum + mean * Math.min(excused, Math.max(measured, missing))
}

/**
 * Computes the miners' scores. With scoring `2024` a miner's score is the sum of its jobs' scores. With `efficiency` it
 * is, added up over the classes, its part of the class's sum times the class's share. docs/scoring.md has the formulas
 * and their limits.
 */
export function scoreNetwork(results: NetworkResults, rules: ScoringRules): NetworkScores {
  if (results.scoring === '2024') return { classes: [], miners: byMiner(results.totals, resultOf2024) }
  const classes = classesOf(results, rules)
  const byName = new Map(classes.map(each => [each.name, each]))
  const resultOf = (own: ClassTotals): ClassResult => {
    const { executorClass: name, jobs, excused } = own
    const sum = sumOf(own)
    const { sum: classSum, share } = byName.get(name) ?? { sum: 0, share: 0 }
    const ofClass = classSum > 0 ? sum / classSum : 0
    return { name, jobs, excused, sum, ofClass, part: ofClass * share }
  }
  return { classes, miners: byMiner(results.totals, totals => totals.map(resultOf)) }
}

function resultOf2024(totals: readonly ClassTotals[]): ClassResult[] {
  const jobs = addUp(totals.map(each => each.jobs))
  const excused = addUp(totals.map(each => each.excused))
  const sum = addUp(totals.map(sumOf))
  return [{ name: null, jobs, excused, sum, ofClass: 0, part: sum }]
}

function byMiner(
  totals: readonly ClassTotals[],
  resultsOf: (own: readonly ClassTotals[]) => ClassResult[],
): MinerExplanation[] {
  return [...Map.groupBy(totals, ({ hotkey }) => hotkey)].map(([hotkey, own]) => {
    const classes = resultsOf(own)
    return { hotkey, score: addUp(classes.map(({ part }) => part)), classes }
  })
}

/** Returns every class that has a weight or jobs, with its share. */
function classesOf({ batches, totals, requested }: NetworkResults, rules: ScoringRules): ClassExplanation[] {
  const { classWeights, demand, capacityFloor } = rules
  const weighted = [...classWeights].filter(([, weight]) => weight > 0).map(([name]) => name)
  const seconds = new Map(weighted.map(name => [name, secondsOf(requested.get(name))]))
  const factors = demandFactors(seconds, demand)
  const names = [...new Set([...weighted, ...totals.map(({ executorClass }) => executorClass)])].sort()
  const classes = names.map(name => {
    const sum = addUp(totals.filter(({ executorClass }) => executorClass === name).map(sumOf))
    const demandSeconds = secondsOf(requested.get(name))
    return {
      ...{ name, operatorWeight: classWeights.get(name) ?? 0, demandSeconds, demandFactor: factors.get(name) ?? 1 },
      ...{ sum, offered: batches > 0 ? sum / batches : 0, share: 0 },
      demanded: Math.max(capacityFloor, demandSeconds / demand.windowSeconds),
    }
  })
  const capacities = classes.map(each => ({ ...each, weight: each.operatorWeight * each.demandFactor }))
  const shares = classShares(capacities)
  return classes.map(each => ({ ...each, share: shares.get(each.name) ?? 0 }))
}

const secondsOf = (requested: RequestedWork | undefined): number => (requested ? requestedSeconds(requested) : 0)

const addUp = (numbers: readonly number[]): number => numbers.reduce((sum, each) => sum + each, 0)
