import type { Metagraph } from '@horde/chain/metagraph'
import type { Database } from '@horde/kit/database'
import type { Clock } from '@horde/kit/time'
import { batchesToScore, executorsAsked, talliesOf, type UnscoredBatch, usualScores } from '../db/scores.ts'
import type { ScoreExplanation } from './explanation.ts'
import { type ScoringRules, scoreNetwork, type Tally } from './network-scores.ts'
import { DEFAULT_SCORING_RULES } from './settings.ts'

export interface EarnedDeps {
  db: Database
  clock: Pick<Clock, 'now'>
  /** Default: those of settings that are left alone. */
  scoringRules?: ScoringRules
}

/** What the unscored batches are worth. */
export interface Earned {
  /** All unscored batches, also those that no longer count: setting weights is done with them too. */
  batchIds: number[]
  /** By hotkey. */
  scores: ReadonlyMap<string, number>
  explanation: ScoreExplanation
}

/** What the neurons of a subnet have earned in the batches that no weights were made of yet. */
export async function earnedScores(metagraph: Metagraph, deps: EarnedDeps): Promise<Earned> {
  const { db, clock, scoringRules: rules = DEFAULT_SCORING_RULES } = deps
  const now = clock.now()
  const unscored = await batchesToScore(db, metagraph.netuid)
  const since = new Date(now - rules.windowSeconds * 1000)
  const { counting, setAside, scoring } = sorted(unscored, since.getTime())
  // A hotkey that has left would take a part of its class's sum, and nobody would get it.
  const here = new Set(metagraph.neurons.map(({ hotkey }) => hotkey))
  const present = (await talliesOf(db, counting)).filter(({ hotkey }) => here.has(hotkey))
  const tallies = await withUsual(present, () => usualScores(db, metagraph.netuid, scoring, since))
  const asked = await executorsAsked(db, new Date(now - rules.demand.windowSeconds * 1000), new Date(now))
  const { classes, miners } = scoreNetwork({ scoring, batches: counting.length, tallies, asked }, rules)
  return {
    batchIds: unscored.map(({ id }) => id),
    scores: new Map(miners.map(({ hotkey, score }) => [hotkey, score])),
    explanation: { scoring, batches: counting, setAside, windowSeconds: rules.windowSeconds, classes, miners },
  }
}

/** What is usual for miners that had jobs excused: a restart in mid-batch costs nobody a weight. */
async function withUsual(tallies: Tally[], ask: () => ReturnType<typeof usualScores>): Promise<Tally[]> {
  if (!tallies.some(({ excused }) => excused > 0)) return tallies
  const usual = new Map((await ask()).map(each => [`${each.hotkey} ${each.executorClass}`, each]))
  return tallies.map(tally => ({ ...tally, usual: usual.get(`${tally.hotkey} ${tally.executorClass}`) }))
}

/**
 * Which batches count. Scores of two scorings are no sum: after the operator has changed it, those of the newest batch's
 * count.
 */
function sorted(unscored: readonly UnscoredBatch[], notBefore: number) {
  const fresh = unscored.filter(({ startedAt }) => startedAt.getTime() >= notBefore)
  const scoring = fresh.at(-1)?.scoring ?? 'efficiency'
  const counting = fresh.filter(batch => batch.scoring === scoring).map(({ id }) => id)
  const setAside = unscored.map(({ id }) => id).filter(id => !counting.includes(id))
  return { counting, setAside, scoring }
}
