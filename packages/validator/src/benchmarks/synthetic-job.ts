import type { Log } from '@horde/kit/log'
import { CLASSES, DEFAULT_CLASS, type ExecutorClass } from '@horde/protocol/classes'
import type { JobUuid } from '@horde/protocol/primitives'
import { failureReason, type JobSpec, type ResultMessage, type ResumedJob, type Verdict } from '../jobs/job-spec.ts'
import { isInTime, type Scoring, scoreJob } from '../scoring/job-score.ts'
import { type Benchmark, offerOf, type Work, workOf } from './benchmark.ts'

/** How long the stages of a synthetic job may take, in ms. */
export interface StageLimits {
  connectMs: number
  manifestMs: number
  acceptMs: number
  /** The same for a miner that told no manifest: it holds an offer until its executor is free. */
  slowAcceptMs: number
  /** Beyond the class's spin-up. */
  readySlackMs: number
  /** Beyond the benchmark's own timeout. A result that comes so late is heard, and worth nothing. */
  resultGraceMs: number
}

export interface SyntheticJob {
  uuid: JobUuid
  benchmark: Pick<Benchmark, 'verify'>
  work: Work
  /** Undefined for a miner that told no manifest. */
  executorClass: ExecutorClass | undefined
  scoring: Scoring
  limits: StageLimits
  /** When it ends whatever its stage, in ms of the monotonic clock. */
  endsAt: number
  /** Given for a job that an earlier process left open. */
  resumed?: ResumedJob | undefined
  keepOpen: boolean
  /** Given for a miner that told no manifest: called once it has held the offer for longer than others may. */
  onHeldBack?: (() => void) | undefined
}

/** A piece of a benchmark's work as a job to drive. */
export function syntheticJob(job: SyntheticJob, log: Log): JobSpec {
  const { uuid, work, executorClass, limits, resumed, onHeldBack } = job
  return {
    uuid,
    executorClass,
    offer: offerOf(work, uuid, executorClass),
    work: workOf(work, uuid, executorClass),
    judge: (result, seconds) => judge(job, result, seconds, log),
    // A resumed job without a result is excused: the miner may have sent the result while no process listened.
    unanswered: { score: resumed ? null : 0, rightAnswer: resumed ? null : false, comment: null },
    connectMs: limits.connectMs,
    acceptMs: limits.acceptMs,
    readyMs: CLASSES[executorClass ?? DEFAULT_CLASS].spinUpSeconds * 1000 + limits.readySlackMs,
    resultMs: work.timeoutSeconds * 1000 + limits.resultGraceMs,
    ...(onHeldBack ? { slowAcceptMs: limits.slowAcceptMs, onHeldBack } : {}),
    endsAt: job.endsAt,
    resumed,
    keepOpen: job.keepOpen,
  }
}

/**
 * What a result is worth: by the scoring for a right answer in time, else 0. Nothing, and not 0, when nobody knows how
 * long it took: that is no miner's fault.
 */
export function judge(
  { uuid, benchmark, work, scoring }: Pick<SyntheticJob, 'uuid' | 'benchmark' | 'work' | 'scoring'>,
  result: ResultMessage,
  seconds: number | undefined,
  log: Log,
): Verdict {
  const { timeoutSeconds, referenceSeconds } = work
  if (result.message_type === 'V0JobFailedRequest') {
    const reason = failureReason(result, seconds, timeoutSeconds)
    return { score: 0, rightAnswer: false, reason, comment: null }
  }
  const judgement = verified(benchmark, work, result, log.child({ jobUuid: uuid }))
  // An excuse would be worth something to whoever can make a module of the operator's fail.
  if (!judgement) {
    return { score: 0, rightAnswer: false, reason: 'wrong-answer', comment: 'The benchmark failed at this answer.' }
  }
  const { score: quality, comment } = judgement
  if (quality <= 0) return { score: 0, rightAnswer: false, reason: 'wrong-answer', comment }
  if (seconds === undefined) return { score: null, rightAnswer: true, reason: 'validator-away', comment }
  if (!isInTime(seconds, timeoutSeconds)) return { score: 0, rightAnswer: true, reason: 'time-limit', comment }
  const score = scoreJob({ seconds, timeoutSeconds, referenceSeconds, quality }, scoring)
  return { score, rightAnswer: true, reason: null, comment }
}

function verified(benchmark: Pick<Benchmark, 'verify'>, work: Work, result: ResultMessage, log: Log) {
  try {
    const { docker_process_stdout: stdout, docker_process_stderr: stderr } = result
    return benchmark.verify(work.challenge, { stdout, stderr })
  } catch (err) {
    log.error({ err }, 'the benchmark could not verify an answer')
    return undefined
  }
}
