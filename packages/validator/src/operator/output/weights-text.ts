/** What the command `weights` prints, and whether it succeeded. */
import type { WeightsOutcome } from '../../set-weights.ts'
import type { WeightsPlan } from '../../weights/plan-weights.ts'

/** Returns a plan as --dry-run --json prints it. */
export function planJson({ basis, batchIds, row, scores, explanation }: WeightsPlan) {
  const scored = new Map(scores.map(each => [each.uid, each]))
  const entries = row.uids.map((uid, i) => {
    const { hotkey = null, score = null } = scored.get(uid) ?? {}
    return { uid, hotkey, score, weight: row.weights[i] ?? 0 }
  })
  return { basis, batches: batchIds, weights: entries, explanation }
}

/** Returns whether the chain holds exactly these weights, or a commit to them that the running validator reveals. */
export function areHeld(outcome: WeightsOutcome | undefined): boolean {
  return outcome?.outcome === 'committed' || (outcome?.outcome === 'set' && outcome.confirmed)
}

export function weightsSentence(outcome: WeightsOutcome): string {
  switch (outcome.outcome) {
    case 'busy':
      return 'Not set: another process is setting weights.'
    case 'too soon':
      return `Not set: the chain accepts none before block ${outcome.dueAtBlock}.`
    case 'too many commits':
      return `Not set: ${outcome.open} commits wait to be revealed, and the chain accepts no more.`
    case 'committed': {
      const { block, basis, epoch } = outcome
      return `Committed in block ${block}, by ${basis}, in epoch ${epoch}: the running validator reveals them.`
    }
    case 'set': {
      const { block, basis, weights: held, confirmed } = outcome
      if (!confirmed) return `Set in block ${block}, but the chain holds other weights.`
      return `Set in block ${block}, by ${basis}: ${held.length} weights.`
    }
  }
}
