import { CLASSES, DEFAULT_CLASS, type ExecutorClass, isExecutorClass } from '@horde/protocol/classes'
import type { JobUuid } from '@horde/protocol/primitives'
import type { JobToDrive, ResultWord, Verdict } from '../job/job-to-drive.ts'
import type { Manifest } from '../miner/link.ts'
import { isInTime, scoreOf } from '../score.ts'
import { type Benchmark, offerOf, workOf } from './benchmark.ts'

/** How long the stages of a synthetic job may take, in ms. */
export interface StageLimits {
  connectMs: number
  manifestMs: number
  acceptMs: number
  /** Beyond the class's spin-up. */
  readySlackMs: number
  /** Beyond the benchmark's own timeout. A result that comes so late is heard, and worth nothing. */
  resultGraceMs: number
}

/** The class that a manifest's miner is asked for: the first that it has and that we know. */
export function classOf(manifest: Manifest | undefined): ExecutorClass | undefined {
  const first = manifest?.find(({ executor_class, count }) => count > 0 && isExecutorClass(executor_class))
  return first?.executor_class as ExecutorClass | undefined
}

/** A benchmark as a job to drive. */
export function syntheticJob(uuid: JobUuid, benchmark: Benchmark, limits: StageLimits, endsAt: number): JobToDrive {
  return {
    uuid,
    plan: manifest => {
      const executorClass = classOf(manifest)
      return {
        executorClass,
        offer: offerOf(benchmark, uuid, executorClass),
        work: workOf(benchmark, uuid, executorClass),
        readyMs: CLASSES[executorClass ?? DEFAULT_CLASS].spinUpSeconds * 1000 + limits.readySlackMs,
        resultMs: benchmark.timeoutSeconds * 1000 + limits.resultGraceMs,
      }
    },
    judge: (result, seconds) => judge(benchmark, result, seconds),
    unanswered: { score: 0, rightAnswer: false },
    connectMs: limits.connectMs,
    manifestMs: limits.manifestMs,
    acceptMs: limits.acceptMs,
    endsAt,
  }
}

/** What a result is worth: the formula's score for a right answer in time, else 0. */
export function judge(benchmark: Benchmark, result: ResultWord, seconds: number): Verdict {
  const { timeoutSeconds } = benchmark
  if (result.message_type === 'V0JobFailedRequest') {
    const ranOut = seconds >= timeoutSeconds ? 'time-limit' : 'not-run'
    return { score: 0, rightAnswer: false, reason: result.docker_process_exit_status === null ? ranOut : 'exit-status' }
  }
  if (!benchmark.isRight(result.docker_process_stdout)) return { score: 0, rightAnswer: false, reason: 'wrong-answer' }
  if (!isInTime(seconds, timeoutSeconds)) return { score: 0, rightAnswer: true, reason: 'time-limit' }
  return { score: scoreOf(seconds, timeoutSeconds), rightAnswer: true, reason: null }
}
