/** The same numbers in the same words, whatever explains them. */
import { textTable } from '@horde/operator/command-line/text-table'
import type { ClassExplanation, ScoreExplanation } from '../scoring/explanation.ts'
import type { Basis } from '../weights/plan-weights.ts'

/** A part of 1, or a score. */
export const decimals = (value: number): string => value.toFixed(6)

export const percent = (share: number): string => `${(share * 100).toFixed(2)} %`

/** Where the scores of a setting come from, as the end of a sentence. */
export function originOf(basis: Basis | string, explanation: ScoreExplanation | null): string {
  const { batches = [], scoring, repeats } = explanation ?? {}
  const made = `${count(batches.length, 'batch', 'batches')} (${batches.join(', ')}) by the scoring ${scoring}`
  if (basis === 'batches') return explanation ? `made of ${made}` : 'made of the batches since the one before'
  if (basis === 'chain') return 'what the chain held already: there was nothing to score'
  if (basis === 'uniform')
    return 'the same for every neuron: there was nothing to score, and nothing had been set before'
  if (!explanation) return 'those of the setting before: there was nothing to score'
  return `those of setting ${repeats} again, made of ${made}: there was nothing to score since`
}

/** How each class came to its share; empty where classes do not count. */
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

/** `1 batch`, `2 batches`. */
export const count = (n: number, one: string, more: string): string => `${n} ${n === 1 ? one : more}`
