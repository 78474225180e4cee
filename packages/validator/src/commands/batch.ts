/** The command `batch`: runs one batch now, and sets weights after it. */

import type { Log } from '@horde/kit/log'
import { textTable } from '@horde/operator/command-line/text-table'
import { type Validator, wireValidator } from '../app.ts'
import type { BatchReport } from '../batches/drive-batch.ts'
import type { BatchJob } from '../batches/drive-miner.ts'
import type { WeightsOutcome } from '../weights/set-weights.ts'
import type { CommandDeps } from './command-line.ts'
import { openValidator } from './open-validator.ts'
import { areHeld } from './weights.ts'

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

/** One batch and one setting of weights. */
export interface BatchResult {
  batch: number
  algorithm: string
  jobs: {
    /** The miner's hotkey. */
    miner: string
    uid: number
    state: string
    seconds: number | null
    score: number
    reason: string | null
    /** Whether the answer was right. */
    answer: boolean
  }[]
  /** The weights that the chain holds afterwards, as u16; empty when nothing was set. */
  weights: { uid: number; weight: number }[]
  /** The block that included the weights. */
  block: number | null
  /** The block that included the commit to the weights, on a subnet with commit-reveal. */
  commitBlock: number | null
}

function batchResult(report: BatchReport, outcome: WeightsOutcome | undefined): BatchResult {
  const set = outcome?.outcome === 'set' ? outcome : undefined
  return {
    batch: report.id,
    algorithm: report.benchmark,
    jobs: report.jobs.map(({ miner, end }: BatchJob) => ({
      miner: miner.hotkey,
      uid: miner.uid,
      state: end?.state ?? 'broken',
      seconds: end?.seconds ?? null,
      score: end?.score ?? 0,
      reason: end ? end.reason : 'abandoned',
      answer: end?.rightAnswer ?? false,
    })),
    weights: set?.weights.map(({ uid, weight }) => ({ uid, weight })) ?? [],
    block: set?.block ?? null,
    commitBlock: outcome?.outcome === 'committed' ? outcome.block : null,
  }
}

/** @param isTrial whether the batch was of some miners only, after which no weights are set */
function batchTable({ batch, algorithm, jobs, weights, block, commitBlock }: BatchResult, isTrial: boolean): string {
  const weightOf = new Map(weights.map(({ uid, weight }) => [uid, weight]))
  const rows = jobs.map(job => [
    String(job.uid),
    job.miner,
    job.state,
    job.seconds === null ? '–' : job.seconds.toFixed(2),
    job.score.toFixed(4),
    String(weightOf.get(job.uid) ?? 0),
    job.reason ?? '',
  ])
  const lines = textTable([['uid', 'miner', 'state', 'seconds', 'score', 'weight', 'reason'], ...rows])
  const unset = isTrial ? 'A trial: no weights were set.' : 'No weights were set.'
  const committed = commitBlock === null ? unset : `Weights are committed in block ${commitBlock}, to be revealed.`
  const end = block === null ? committed : `Weights are in block ${block}.`
  return `Batch ${batch}: ${algorithm}, ${jobs.length} jobs\n${lines}${end}\n`
}
