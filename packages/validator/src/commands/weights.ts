/** The command `weights`: sets the weights that are due, or says what they would be. */
import { wireValidator } from '../app.ts'
import { weightsTable } from '../explain/weights-table.ts'
import type { WeightsOutcome } from '../set-weights.ts'
import { planWeights, type WeightsPlan } from '../weights/plan-weights.ts'
import { hasTaken } from './has-taken.ts'
import { type OpenValidator, openValidator } from './open-validator.ts'
import type { CommandDeps } from './run-command.ts'

export type WeightsWanted = { json: boolean; dryRun: boolean }

/** Gives the exit code: 0 when the chain holds the weights, or their commit, or, of a dry run, when they could be made. */
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
  print(json ? `${JSON.stringify(outcome)}\n` : `${sentenceOf(outcome)}\n`)
  return hasTaken(outcome) ? 0 : 1
}

/** What would be set now, as a table or as JSON. */
async function planned(json: boolean, { chain, hotkey, config, database, clock }: OpenValidator): Promise<string> {
  const { BITTENSOR_NETUID: netuid, scoringRules } = config
  const plan = await planWeights(netuid, { chain, hotkey, db: database.db, clock, scoringRules })
  if (json) return `${JSON.stringify(planResult(plan))}\n`
  const [held, metagraph] = await Promise.all([chain.weightsOf(netuid, plan.uid), chain.metagraph(netuid)])
  return `Nothing is set. ${weightsTable(plan, held, metagraph)}`
}

function planResult({ basis, batchIds, row, scores, explanation }: WeightsPlan) {
  const scored = new Map(scores.map(each => [each.uid, each]))
  const entries = row.uids.map((uid, i) => {
    const { hotkey = null, score = null } = scored.get(uid) ?? {}
    return { uid, hotkey, score, weight: row.weights[i] ?? 0 }
  })
  return { basis, batches: batchIds, weights: entries, explanation }
}

function sentenceOf(outcome: WeightsOutcome): string {
  switch (outcome.outcome) {
    case 'busy':
      return 'Not set: another process is setting them.'
    case 'too soon':
      return `Not set: the chain takes none before block ${outcome.dueAtBlock}.`
    case 'too many commits':
      return `Not set: ${outcome.open} commits wait to be revealed, and the chain takes no more.`
    case 'committed': {
      const { block, basis, epoch } = outcome
      return `Committed in block ${block}, by ${basis}, in epoch ${epoch}: a validator that runs reveals them.`
    }
    case 'set': {
      const { block, basis, weights: held, confirmed } = outcome
      if (!confirmed) return `Set in block ${block}, but the chain holds other weights.`
      return `Set in block ${block}, by ${basis}: ${held.length} weights.`
    }
  }
}
