import type { Chain, Hyperparameters } from '@horde/chain/chain'
import type { Metagraph } from '@horde/chain/metagraph'
import type { Hotkey } from '@horde/chain/wallet'
import { makeWeights, type WeightRow } from '@horde/chain/weights'
import { refusalOf } from '@horde/chain/weights/row'
import type { Database } from '@horde/kit/database'
import type { Clock } from '@horde/kit/time'
import type { ScoredNeuron } from '../db/schema.ts'
import { lastSettingScores } from '../db/scores.ts'
import { earnedScores } from '../scoring/earned-scores.ts'
import type { ScoreExplanation } from '../scoring/explanation.ts'
import type { ScoringRules } from '../scoring/network-scores.ts'
import { ownNeuron } from './rate-limit.ts'

/** Where the scores behind a row come from. */
export type Basis = 'batches' | 'last setting' | 'chain' | 'uniform'

/** A row to set, and what it is made of. */
export interface WeightsPlan {
  /** Our own. */
  uid: number
  basis: Basis
  /** Scored once the row is set, those that are set aside too. */
  batchIds: number[]
  scores: ScoredNeuron[]
  /** How the scores came about; null when they come from the chain or from nowhere. */
  explanation: ScoreExplanation | null
  row: WeightRow
}

export interface PlanDeps {
  chain: Pick<Chain, 'metagraph' | 'hyperparameters' | 'weightsOf'>
  hotkey: Hotkey
  db: Database
  clock: Pick<Clock, 'now'>
  /** Default: those of settings that are left alone. */
  scoringRules?: ScoringRules
}

/**
 * The weights that the unscored batches make. When they give nobody a score: the last ones again, from the database, else
 * from the chain; before there are any, uniform ones. Batches that gave nobody a score are part of the plan all the same.
 *
 * @throws ChainError NotRegistered when the hotkey is no neuron of the subnet
 */
export async function planWeights(netuid: number, deps: PlanDeps): Promise<WeightsPlan> {
  const { chain, db, hotkey } = deps
  const [metagraph, rules] = await Promise.all([chain.metagraph(netuid), chain.hyperparameters(netuid)])
  const { uid } = ownNeuron(metagraph, hotkey)
  const { batchIds, scores, explanation } = await earnedScores(metagraph, deps)
  const plan = (basis: Basis, scores: ScoredNeuron[], explanation: ScoreExplanation | null = null): WeightsPlan => ({
    ...{ uid, basis, batchIds, scores, explanation, row: rowOf(scores, metagraph, rules, uid) },
  })

  const earned = scoredNeurons(metagraph, scores)
  if (earned.length > 0) return plan('batches', earned, explanation)
  const last = await lastSettingScores(db, netuid, hotkey.ss58)
  const again = scoredNeurons(metagraph, new Map(last?.scores.map(each => [each.hotkey, each.score])))
  if (last && again.length > 0) {
    const { id: repeats } = last
    return plan('last setting', again, last.explanation && { repeats, ...last.explanation })
  }

  const held = (await chain.weightsOf(netuid, uid)).filter(({ weight }) => weight > 0)
  const heldScores = scoredNeurons(
    metagraph,
    new Map(held.map(each => [metagraph.neurons[each.uid]?.hotkey ?? '', each.weight])),
  )
  if (heldScores.length === 0) return plan('uniform', [])
  const heldRow = { uids: held.map(each => each.uid), weights: held.map(each => each.weight) }
  const refused = refusalOf(heldRow, { ...rules, neurons: metagraph.neurons.length, ownUid: uid })
  return refused ? plan('chain', heldScores) : { ...plan('chain', heldScores), row: heldRow }
}

/** The neurons with a score above 0, by uid. A hotkey that left the subnet gets nothing. */
function scoredNeurons(metagraph: Metagraph, scores: ReadonlyMap<string, number>): ScoredNeuron[] {
  return metagraph.neurons
    .map(({ uid, hotkey }) => ({ uid, hotkey, score: scores.get(hotkey) ?? 0 }))
    .filter(({ score }) => score > 0)
}

function rowOf(scores: ScoredNeuron[], { neurons }: Metagraph, rules: Hyperparameters, ownUid: number): WeightRow {
  return makeWeights({
    scores: scores.map(({ score }) => score),
    uids: scores.map(({ uid }) => uid),
    neurons: neurons.length,
    minAllowedWeights: rules.minAllowedWeights,
    maxWeightsLimit: rules.maxWeightsLimit,
    ownUid,
  })
}
