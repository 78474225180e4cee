import type { Chain, Hyperparameters } from '@horde/chain/chain'
import type { Metagraph } from '@horde/chain/metagraph'
import type { Hotkey } from '@horde/chain/wallet'
import { makeWeights, type WeightRow } from '@horde/chain/weights'
import { refusalOf } from '@horde/chain/weights/row'
import type { Database } from '@horde/kit/database'
import type { Clock } from '@horde/kit/time'
import type { ScoredNeuron, ScoreExplanation } from '../db/json-columns.ts'
import { lastSettingScores } from '../db/scores.ts'
import { earnedScores } from '../scoring/earned-scores.ts'
import type { ScoringRules } from '../scoring/network-scores.ts'
import { ownNeuron } from './rate-limit.ts'

/** Where the scores of a row come from. */
export type Basis = 'batches' | 'last setting' | 'chain' | 'uniform'

/** A row of weights to set, and the scores it comes from. */
export interface WeightsPlan {
  /** This validator's uid. */
  uid: number
  basis: Basis
  /** Batches that count as scored once the row is set, including those that did not count for the scores. */
  batchIds: number[]
  scores: ScoredNeuron[]
  /** How the scores were computed; null if they come from the chain or are uniform. */
  explanation: ScoreExplanation | null
  row: WeightRow
}

export interface PlanDeps {
  chain: Pick<Chain, 'metagraph' | 'hyperparameters' | 'weightsOf'>
  hotkey: Hotkey
  db: Database
  clock: Pick<Clock, 'now'>
  /** Default: the rules of the default settings. */
  scoringRules?: ScoringRules
}

/**
 * Makes the weights of the unscored batches. If no neuron has a score, it repeats the last weights from the database,
 * or else from the chain; and if there are none yet, it makes uniform weights. The plan includes all unscored batches,
 * even those without scores.
 *
 * @throws ChainError NotRegistered when the hotkey is not registered on the subnet
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

/** Returns the neurons with a score above 0, by uid. Leaves out hotkeys that are no longer on the subnet. */
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

/** A uid that has another hotkey now than when the weights were computed. */
export interface Handover {
  uid: number
  /** The hotkey whose scores made its weight. */
  from: string
  /** The hotkey that has the uid now. */
  to: string
}

/** Finds the uids of a setting that have changed hotkeys since its weights were computed. */
export function handoversIn(setting: { scores: readonly ScoredNeuron[] }, { neurons }: Metagraph): Handover[] {
  return setting.scores.flatMap(({ uid, hotkey: from }) => {
    const to = neurons[uid]?.hotkey
    return to === undefined || to === from ? [] : [{ uid, from, to }]
  })
}
