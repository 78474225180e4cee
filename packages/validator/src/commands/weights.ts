/** The command `weights`: sets the weights that are due, or says what they would be. */
import { textTable } from '@horde/kit/command-line/text-table'
import { wireValidator } from '../app.ts'
import type { WeightsOutcome } from '../set-weights.ts'
import { planWeights, type WeightsPlan } from '../weights/plan-weights.ts'
import { openValidator } from './open-validator.ts'
import type { CommandDeps } from './run-command.ts'

export type WeightsWanted = { json: boolean; dryRun: boolean }

/** Gives the exit code: 0 when the chain holds the weights, or, of a dry run, when they could be made. */
export async function weights(
  { json, dryRun }: WeightsWanted,
  { environment, print }: CommandDeps,
  signal: AbortSignal,
): Promise<number> {
  await using stack = new AsyncDisposableStack()
  const deps = await openValidator(environment, { destination: process.stderr }, signal, stack)
  if (dryRun) {
    const { chain, hotkey, config } = deps
    const plan = await planWeights(config.BITTENSOR_NETUID, { chain, hotkey, db: deps.database.db })
    print(json ? `${JSON.stringify(planResult(plan))}\n` : planTable(plan))
    return 0
  }
  const outcome = await wireValidator(deps).weights(signal)
  print(json ? `${JSON.stringify(outcome)}\n` : `${sentenceOf(outcome)}\n`)
  return outcome.outcome === 'set' && outcome.confirmed ? 0 : 1
}

function planResult({ basis, batchIds, row, scores }: WeightsPlan) {
  const scored = new Map(scores.map(each => [each.uid, each]))
  const entries = row.uids.map((uid, i) => {
    const { hotkey = null, score = null } = scored.get(uid) ?? {}
    return { uid, hotkey, score, weight: row.weights[i] ?? 0 }
  })
  return { basis, batches: batchIds, weights: entries }
}

function planTable(plan: WeightsPlan): string {
  const { basis, batches, weights: entries } = planResult(plan)
  const rows = entries.map(({ uid, hotkey, score, weight }) => {
    return [String(uid), hotkey ?? '–', score === null ? '–' : score.toFixed(4), String(weight)]
  })
  const head = `Nothing is set. By ${basis}, of ${batches.length} batches, it would be:\n`
  return head + textTable([['uid', 'miner', 'score', 'weight'], ...rows])
}

function sentenceOf(outcome: WeightsOutcome): string {
  if (outcome.outcome === 'busy') return 'Not set: another process is setting them.'
  if (outcome.outcome === 'too soon') return `Not set: the chain takes none before block ${outcome.dueAtBlock}.`
  const { block, basis, weights: held, confirmed } = outcome
  if (!confirmed) return `Set in block ${block}, but the chain holds other weights.`
  return `Set in block ${block}, by ${basis}: ${held.length} weights.`
}
