/** Formats planned weights for a terminal, and numbers and classes for all explanations. */
import type { WeightOf } from '@horde/chain/chain'
import type { Metagraph } from '@horde/chain/metagraph'
import { sharesOf } from '@horde/chain/weights'
import { textTable } from '@horde/operator/command-line/text-table'
import type { ClassExplanation, ScoreExplanation } from '../db/json-columns.ts'
import type { Basis, WeightsPlan } from '../weights/plan-weights.ts'

/**
 * Returns a table of the planned weights beside those that the chain holds, the heaviest first, for a terminal.
 *
 * @param held this validator's row on the chain, as `chain.weightsOf` returns it
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
  return `The scores ${originOf(basis, explanation)}.\n\n${table}${classes === '' ? '' : `\n${classes}`}`
}

/** Returns where scores come from, as the end of the sentence "The scores …". */
export function originOf(basis: Basis | string, explanation: ScoreExplanation | null): string {
  const { batches = [], scoring, repeats } = explanation ?? {}
  const source = `${count(batches.length, 'batch', 'batches')} (${batches.join(', ')}), scored by ${scoring}`
  if (basis === 'batches')
    return explanation ? `come from ${source}` : 'come from the batches since the previous setting'
  if (basis === 'chain') return 'come from the weights on the chain, because no batch has a score'
  if (basis === 'uniform') return 'are the same for every neuron, because there are no scores and no earlier weights'
  if (!explanation) return 'repeat those of the previous setting, because no batch has a score'
  return `repeat those of setting ${repeats}, which come from ${source}, because no batch since then has a score`
}

/** Returns a table of how each class got its share; empty if classes do not count. */
export function classTable(classes: readonly ClassExplanation[]): string {
  if (classes.length === 0) return ''
  const head = ['class', 'weight', 'demand', 'factor', 'scores', 'offered', 'demanded', 'share']
  const rows = classes.map(each => [
    each.name,
    String(each.operatorWeight),
    `${Math.round(each.demandSeconds)} s`,
    each.demandFactor.toFixed(2),
    each.sum.toFixed(4),
    each.offered.toFixed(2),
    each.demanded.toFixed(2),
    percent(each.share),
  ])
  return textTable([head, ...rows])
}

/** Formats a score or a part of 1: `0.250000`. */
export const decimals = (value: number): string => value.toFixed(6)

/** Formats a part of 1: `25.00 %`. */
export const percent = (share: number): string => `${(share * 100).toFixed(2)} %`

/** Formats a count with its noun: `1 batch`, `2 batches`. */
export const count = (n: number, one: string, more: string): string => `${n} ${n === 1 ? one : more}`
