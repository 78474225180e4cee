/** What the command `batch` prints, as JSON or as a table. */
import { textTable } from '@horde/operator/command-line/text-table'
import type { BatchJob, BatchReport } from '../../batch/batch-part.ts'
import type { WeightsOutcome } from '../../set-weights.ts'

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

export function batchResult(report: BatchReport, outcome: WeightsOutcome | undefined): BatchResult {
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
export function batchTable(
  { batch, algorithm, jobs, weights, block, commitBlock }: BatchResult,
  isTrial: boolean,
): string {
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
