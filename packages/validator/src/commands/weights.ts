/** The command `weights`: sets the weights that are due, or prints what they would be. */
import { wireValidator } from '../app.ts'
import { weightsTable } from '../explain/weights-table.ts'
import { areHeld, planJson, weightsSentence } from '../operator/output/weights-text.ts'
import { planWeights } from '../weights/plan-weights.ts'
import { type OpenValidator, openValidator } from './open-validator.ts'
import type { CommandDeps } from './run-command.ts'

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
