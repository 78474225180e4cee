import type { Log } from '@horde/kit/log'
import type { Validator } from '../app.ts'
import type { BatchJob, BatchReport } from '../batch/batch-part.ts'
import type { WeightsOutcome } from '../set-weights.ts'

/** One batch and one setting of weights, as a program reads it. */
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
  /** What the chain holds afterwards, u16 each; empty when nothing was set. */
  weights: { uid: number; weight: number }[]
  /** The block that took the weights in. */
  block: number | null
}

export interface BatchCommandDeps {
  validator: Pick<Validator, 'batch' | 'weights' | 'sweep'>
  /** Writes the result. */
  print(text: string): void
  log: Log
}

/** One batch, then one setting of weights. Gives the exit code: 0 only when the chain holds the weights. */
export async function batchCommand(json: boolean, deps: BatchCommandDeps, signal: AbortSignal): Promise<number> {
  const { validator, print, log } = deps
  await validator.sweep()
  const report = await validator.batch(signal)
  const outcome = report.counts ? await weightsOf(validator, log, signal) : undefined
  if (outcome && outcome.outcome !== 'set') log.error(outcome, 'weights were not set')
  const result = resultOf(report, outcome)
  print(json ? `${JSON.stringify(result)}\n` : tableOf(result))
  return outcome?.outcome === 'set' && outcome.confirmed ? 0 : 1
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

function resultOf(report: BatchReport, outcome: WeightsOutcome | undefined): BatchResult {
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
  }
}

function tableOf({ batch, algorithm, jobs, weights, block }: BatchResult): string {
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
  const lines = aligned([['uid', 'miner', 'state', 'seconds', 'score', 'weight', 'reason'], ...rows])
  const end = block === null ? 'No weights were set.' : `Weights are in block ${block}.`
  return [`Batch ${batch}: ${algorithm}, ${jobs.length} jobs`, ...lines, end, ''].join('\n')
}

function aligned(rows: string[][]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0))) ?? []
  return rows.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
