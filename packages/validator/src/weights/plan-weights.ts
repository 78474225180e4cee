import type { Chain, Hyperparameters } from '@horde/chain/chain'
import type { Metagraph } from '@horde/chain/metagraph'
import type { Hotkey } from '@horde/chain/wallet'
import { makeWeights, type WeightRow } from '@horde/chain/weights'
import { refusalOf } from '@horde/chain/weights/row'
import type { Database } from '@horde/kit/database'
import { unscoredBatches } from '../db/batches.ts'
import { scoresOf } from '../db/jobs.ts'
import type { ScoredNeuron } from '../db/schema.ts'
import { lastScores } from '../db/weight-settings.ts'
import { ownNeuron } from './rate-limit.ts'

/** Where the scores behind a row come from. */
export type Basis = 'batches' | 'last setting' | 'chain' | 'uniform'

/** A row to set, and what it is made of. */
export interface WeightsPlan {
  /** Our own. */
  uid: number
  basis: Basis
  batchIds: number[]
  scores: ScoredNeuron[]
  row: WeightRow
}

export interface PlanDeps {
  chain: Pick<Chain, 'metagraph' | 'hyperparameters' | 'weightsOf'>
  hotkey: Hotkey
  db: Database
}

/**
 * The weights that the unscored batches make. When they give nobody a score: the last ones again, from the database, else
 * from the chain; before there are any, uniform ones. Batches that gave nobody a score are part of the plan all the same.
 *
 * @throws ChainError NotRegistered when the hotkey is no neuron of the subnet
 */
export async function planWeights(netuid: number, deps: PlanDeps): Promise<WeightsPlan> {
  const [metagraph, rules] = await Promise.all([deps.chain.metagraph(netuid), deps.chain.hyperparameters(netuid)])
  const { uid } = ownNeuron(metagraph, deps.hotkey)
  const batchIds = await unscoredBatches(deps.db, netuid)
  const plan = (basis: Basis, scores: ScoredNeuron[], row = rowOf(scores, metagraph, rules, uid)): WeightsPlan => ({
    ...{ uid, basis, batchIds, scores, row },
  })

  const earned = scoredNeurons(metagraph, await scoresOf(deps.db, batchIds))
  if (earned.length > 0) return plan('batches', earned)
  const last = new Map((await lastScores(deps.db, netuid, deps.hotkey.ss58))?.map(each => [each.hotkey, each.score]))
  const again = scoredNeurons(metagraph, last)
  if (again.length > 0) return plan('last setting', again)

  const held = (await deps.chain.weightsOf(netuid, uid)).filter(({ weight }) => weight > 0)
  const heldScores = scoredNeurons(
    metagraph,
    new Map(held.map(each => [metagraph.neurons[each.uid]?.hotkey ?? '', each.weight])),
  )
  if (heldScores.length === 0) return plan('uniform', [])
  const heldRow = { uids: held.map(each => each.uid), weights: held.map(each => each.weight) }
  const refused = refusalOf(heldRow, { ...rules, neurons: metagraph.neurons.length, ownUid: uid })
  return refused ? plan('chain', heldScores) : plan('chain', heldScores, heldRow)
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
