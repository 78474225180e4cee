import type { Log } from '@horde/kit/log'
import { CLASSES, DEFAULT_CLASS, type ExecutorClass } from '@horde/protocol/classes'
import type { ResultReport } from '@horde/protocol/job/messages'
import type { JobOutput } from '@horde/protocol/job/report'
import type { JobUuid } from '@horde/protocol/primitives'
import type { Work } from '../db/json-columns.ts'
import { failureReason, type JobSpec, type ResumedJob, type Verdict } from '../jobs/job-spec.ts'
import { isInTime, type Scoring, scoreJob } from '../scoring/job-score.ts'
import { type Benchmark, offerOf, workOf } from './benchmark.ts'

/** Time limits for the stages of a synthetic job, in ms. */
export interface StageLimits {
  connectMs: number
  manifestMs: number
  acceptMs: number
  /** The limit for accepting for a miner without a manifest, which may hold an offer until its executor is free. */
  slowAcceptMs: number
  /** How long a miner keeps an executor for the offer, where its dialect says it. */
  reservationMs: number
  /** Added to the class's spin-up time. */
  readySlackMs: number
  /** Added to the benchmark's timeout. A result within this extra time is received, but scores 0. */
  resultGraceMs: number
}

/** A synthetic job, new or resumed. */
export interface SyntheticJob {
  uuid: JobUuid
  benchmark: Pick<Benchmark, 'verify'>
  work: Work
  /** Undefined for a miner without a manifest. */
  executorClass: ExecutorClass | undefined
  scoring: Scoring
  limits: StageLimits
  /** When it ends at any stage, in ms of the monotonic clock. */
  endsAt: number
  /** Given for a job that an earlier process left open. */
  resumed?: ResumedJob | undefined
  keepOpen: boolean
  /** Set for a miner that sent no manifest: called once it has held the offer for longer than others may. */
  onHeldBack?: (() => void) | undefined
}

/** Returns a synthetic job in the form that the job driver needs. */
export function syntheticJob(job: SyntheticJob, log: Log): JobSpec {
  const { uuid, work, executorClass, limits, resumed, onHeldBack } = job
  return {
    uuid,
    executorClass,
    isOrganic: false,
    offer: offerOf(work, uuid, executorClass),
    work: workOf(work, uuid, executorClass),
    judge: (result, seconds) => judge(job, result, seconds, log),
    // A resumed job without a result is excused: the miner may have sent the result while no process listened.
    unanswered: { score: resumed ? null : 0, rightAnswer: resumed ? null : false, comment: null },
    connectMs: limits.connectMs,
    acceptMs: limits.acceptMs,
    reservationMs: limits.reservationMs,
    readyMs: CLASSES[executorClass ?? DEFAULT_CLASS].spinUpSeconds * 1000 + limits.readySlackMs,
    resultMs: work.timeoutSeconds * 1000 + limits.resultGraceMs,
    ...(onHeldBack ? { slowAcceptMs: limits.slowAcceptMs, onHeldBack } : {}),
    endsAt: job.endsAt,
    resumed,
    keepOpen: job.keepOpen,
  }
}

/**
 * Judges a result. A right answer in time scores by the scoring, any other answer scores 0. If the time is unknown,
 * which is not the miner's fault, the score is null: the job is excused.
 */
export function judge(
  { uuid, benchmark, work, scoring }: Pick<SyntheticJob, 'uuid' | 'benchmark' | 'work' | 'scoring'>,
  result: ResultReport,
  seconds: number | undefined,
  log: Log,
): Verdict {
  const { timeoutSeconds, referenceSeconds } = work
  if (result.type === 'fail') {
    const reason = failureReason(result.failure, seconds, timeoutSeconds)
    return { score: 0, rightAnswer: false, reason, comment: null }
  }
  const judgement = verified(benchmark, work, result.output, log.child({ jobUuid: uuid }))
  // Scores 0, not null: otherwise a miner could gain by making the operator's module fail.
  if (!judgement) {
    return { score: 0, rightAnswer: false, reason: 'wrong-answer', comment: 'The benchmark failed on this answer.' }
  }
  const { score: quality, comment } = judgement
  if (quality <= 0) return { score: 0, rightAnswer: false, reason: 'wrong-answer', comment }
  if (seconds === undefined) return { score: null, rightAnswer: true, reason: 'validator-away', comment }
  if (!isInTime(seconds, timeoutSeconds)) return { score: 0, rightAnswer: true, reason: 'time-limit', comment }
  const score = scoreJob({ seconds, timeoutSeconds, referenceSeconds, quality }, scoring)
  return { score, rightAnswer: true, reason: null, comment }
}

/** Runs the benchmark's `verify`; undefined if it throws. */
function verified(benchmark: Pick<Benchmark, 'verify'>, work: Work, output: JobOutput, log: Log) {
  try {
    const { stdout, stderr } = output
    return benchmark.verify(work.challenge, { stdout, stderr })
  } catch (err) {
    log.error({ err }, 'the benchmark failed to verify an answer')
    return undefined
  }
}
