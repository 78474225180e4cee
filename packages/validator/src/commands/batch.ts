/** The command `batch`: runs one batch now, and sets weights after it. */

import type { Log } from '@horde/kit/log'
import { type Validator, wireValidator } from '../app.ts'
import { batchResult, batchTable } from '../operator/output/batch-result.ts'
import { areHeld } from '../operator/output/weights-text.ts'
import type { WeightsOutcome } from '../set-weights.ts'
import { openValidator } from './open-validator.ts'
import type { CommandDeps } from './run-command.ts'

export interface BatchRunDeps {
  validator: Pick<Validator, 'batch' | 'weights' | 'sweep'>
  /** Writes the result. */
  print(text: string): void
  log: Log
}

export interface BatchWanted {
  json: boolean
  /** The miners to run on: hotkeys, uids, or hotkey@host:port; all miners when empty. */
  miners: readonly string[]
}

export async function batch(
  wanted: BatchWanted,
  { environment, print }: CommandDeps,
  signal: AbortSignal,
): Promise<number> {
  await using stack = new AsyncDisposableStack()
  const deps = await openValidator(environment, { destination: process.stderr }, signal, stack)
  return await runBatchOnce(wanted, { validator: wireValidator(deps), print, log: deps.log }, signal)
}

/**
 * Runs one batch, then sets weights. Returns the exit code: 0 only when the chain holds the weights or their commit. A
 * trial of some miners sets none: it returns 0 only when every answer was right.
 */
export async function runBatchOnce(
  { json, miners }: BatchWanted,
  deps: BatchRunDeps,
  signal: AbortSignal,
): Promise<number> {
  const { validator, print, log } = deps
  await validator.sweep()
  const isTrial = miners.length > 0
  const report = await validator.batch(signal, isTrial ? { only: miners } : {})
  const outcome = report.counts && !isTrial ? await weightsOf(validator, log, signal) : undefined
  if (outcome && outcome.outcome !== 'set' && outcome.outcome !== 'committed')
    log.error(outcome, 'weights were not set')
  const result = batchResult(report, outcome)
  print(json ? `${JSON.stringify(result)}\n` : batchTable(result, isTrial))
  if (isTrial) return result.jobs.length > 0 && result.jobs.every(({ answer }) => answer) ? 0 : 1
  return areHeld(outcome) ? 0 : 1
}

async function weightsOf(
  validator: Pick<Validator, 'weights'>,
  log: Log,
  signal: AbortSignal,
): Promise<WeightsOutcome | undefined> {
  try {
    return await validator.weights(signal)
  } catch (err) {
    log.error({ err }, 'weights could not be set')
    return undefined
  }
}
