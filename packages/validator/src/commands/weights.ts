/** The command `weights`: sets the weights that are due, or prints what they would be. */
import { wireValidator } from '../app.ts'
import { weightsTable } from '../explain/weights-table.ts'
import { planWeights, type WeightsPlan } from '../weights/plan-weights.ts'
import type { WeightsOutcome } from '../weights/set-weights.ts'
import type { CommandDeps } from './command-line.ts'
import { type OpenValidator, openValidator } from './open-validator.ts'

export type WeightsWanted = { json: boolean; dryRun: boolean }

/** Returns the exit code: 0 when the chain holds the weights or their commit, and after a dry run. */
export async function weights(
  { json, dryRun }: WeightsWanted,
  { environment, print }: CommandDeps,
  signal: AbortSignal,
): Promise<number> {
  await using stack = new AsyncDisposableStack()
  const deps = await openValidator(environment, { destination: process.stderr }, signal, stack)
  if (dryRun) {
    print(await planned(json, deps))
    return 0
  }
  const outcome = await wireValidator(deps).weights(signal)
  print(json ? `${JSON.stringify(outcome)}\n` : `${weightsSentence(outcome)}\n`)
  return areHeld(outcome) ? 0 : 1
}

/** Returns what would be set now, as a table or as JSON. */
async function planned(json: boolean, { chain, hotkey, config, database, clock }: OpenValidator): Promise<string> {
  const { BITTENSOR_NETUID: netuid, scoringRules } = config
  const plan = await planWeights(netuid, { chain, hotkey, db: database.db, clock, scoringRules })
  if (json) return `${JSON.stringify(planJson(plan))}\n`
  const [held, metagraph] = await Promise.all([chain.weightsOf(netuid, plan.uid), chain.metagraph(netuid)])
  return `Nothing is set. ${weightsTable(plan, held, metagraph)}`
}

/** Returns a plan as --dry-run --json prints it. */
function planJson({ basis, batchIds, row, scores, explanation }: WeightsPlan) {
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

function weightsSentence(outcome: WeightsOutcome): string {
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
