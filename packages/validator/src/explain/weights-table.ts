import type { WeightOf } from '@horde/chain/chain'
import type { Metagraph } from '@horde/chain/metagraph'
import { sharesOf } from '@horde/chain/weights'
import { textTable } from '@horde/operator/command-line/text-table'
import type { WeightsPlan } from '../weights/plan-weights.ts'
import { classTable, decimals, originOf, percent } from './words.ts'

/**
 * The weights that a plan would set, beside what the chain holds, for a terminal. The heaviest first.
 *
 * @param held what the chain holds of our own row, as `chain.weightsOf` says it
 */
export function weightsTable(plan: WeightsPlan, held: readonly WeightOf[], { neurons }: Metagraph): string {
  const { basis, explanation, row, scores } = plan
  const shares = sharesOf(row)
  const scoreOf = new Map(scores.map(({ uid, score }) => [uid, score]))
  const heldOf = new Map(held.map(({ uid, weight }) => [uid, weight]))
  const planned = row.uids.map((uid, i) => ({ uid, weight: row.weights[i] ?? 0, share: shares[i] ?? 0 }))
  const dropped = held.filter(({ uid, weight }) => weight > 0 && !row.uids.includes(uid))
  const lines = [...planned, ...dropped.map(({ uid }) => ({ uid, weight: 0, share: 0 }))]
    .sort((a, b) => b.weight - a.weight || a.uid - b.uid)
    .map(({ uid, weight, share }) => [
      String(uid),
      neurons[uid]?.hotkey ?? '',
      decimals(scoreOf.get(uid) ?? 0),
      String(weight),
      percent(share),
      String(heldOf.get(uid) ?? 0),
    ])
  const table = textTable([['uid', 'miner', 'score', 'weight', 'share', 'on the chain'], ...lines])
  const classes = classTable(explanation?.classes ?? [])
  return `The scores are ${originOf(basis, explanation)}.\n\n${table}${classes === '' ? '' : `\n${classes}`}`
}
