import type { Metagraph } from '@horde/chain/metagraph'
import type { Database } from '@horde/kit/database'
import type { Clock } from '@horde/kit/time'
import type { ScoreExplanation } from '../db/json-columns.ts'
import {
  averageScores,
  batchesToScore,
  type ClassTotals,
  classTotalsOf,
  requestedWork,
  type UnscoredBatch,
} from '../db/scores.ts'
import { type ScoringRules, scoreNetwork } from './network-scores.ts'
import { DEFAULT_SCORING_RULES } from './settings.ts'

export interface EarnedDeps {
  db: Database
  clock: Pick<Clock, 'now'>
  /** Default: the rules of the default settings. */
  scoringRules?: ScoringRules
}

/** The scores of the unscored batches. */
export interface Earned {
  /** All unscored batches, including those that no longer count. Setting weights marks all of them as scored. */
  batchIds: number[]
  /** By hotkey. */
  scores: ReadonlyMap<string, number>
  explanation: ScoreExplanation
}

/** Computes the scores of a subnet's miners from the batches that no weights include yet. */
export async function earnedScores(metagraph: Metagraph, deps: EarnedDeps): Promise<Earned> {
  const { db, clock, scoringRules: rules = DEFAULT_SCORING_RULES } = deps
  const now = clock.now()
  const unscored = await batchesToScore(db, metagraph.netuid)
  const since = new Date(now - rules.windowSeconds * 1000)
  const { counting, setAside, scoring } = countingBatches(unscored, since.getTime())
  // A hotkey that has left the subnet would take a part of its class's share that no neuron gets.
  const here = new Set(metagraph.neurons.map(({ hotkey }) => hotkey))
  const present = (await classTotalsOf(db, counting)).filter(({ hotkey }) => here.has(hotkey))
  const totals = await withAverages(present, () => averageScores(db, metagraph.netuid, scoring, since))
  const requested = await requestedWork(db, new Date(now - rules.demand.windowSeconds * 1000), new Date(now))
  const { classes, miners } = scoreNetwork({ scoring, batches: counting.length, totals, requested }, rules)
  return {
    batchIds: unscored.map(({ id }) => id),
    scores: new Map(miners.map(({ hotkey, score }) => [hotkey, score])),
    explanation: { scoring, batches: counting, setAside, windowSeconds: rules.windowSeconds, classes, miners },
  }
}

/**
 * Adds the averages of miners with excused jobs, so that a validator's restart during a batch costs no miner weight.
 */
async function withAverages(
  totals: ClassTotals[],
  readAverages: () => ReturnType<typeof averageScores>,
): Promise<ClassTotals[]> {
  if (!totals.some(({ excused }) => excused > 0)) return totals
  const averages = new Map((await readAverages()).map(each => [`${each.hotkey} ${each.executorClass}`, each]))
  return totals.map(each => ({ ...each, averages: averages.get(`${each.hotkey} ${each.executorClass}`) }))
}

/**
 * Splits the unscored batches into those that count and those set aside. Batches that are too old do not count. Scores
 * of different scorings cannot be added, so after the operator changes SCORING only batches with the newest one count.
 */
function countingBatches(unscored: readonly UnscoredBatch[], notBefore: number) {
  const fresh = unscored.filter(({ startedAt }) => startedAt.getTime() >= notBefore)
  const scoring = fresh.at(-1)?.scoring ?? 'efficiency'
  const counting = fresh.filter(batch => batch.scoring === scoring).map(({ id }) => id)
  const setAside = unscored.map(({ id }) => id).filter(id => !counting.includes(id))
  return { counting, setAside, scoring }
}
