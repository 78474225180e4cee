/** Counts jobs, declined offers and refused connections, and measures how long each stage of a job took. */
import type { Clock } from '@horde/kit/time'
import { isExecutorClass } from '@horde/protocol/classes'
import { type FinalState, isFinal, type JobState } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import { Counter, Histogram, type Registry } from 'prom-client'
import { SIGNATURE_PROBLEMS, type SignatureProblem } from '../../receipts/check-proof.ts'
import type { RefusalCode } from '../../validators/authenticate.ts'
import { METRICS, type MetricName } from './definitions.ts'

/** Buckets from a warm executor's hundredths of a second to a run of an hour, in seconds. */
const STAGE_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600]

/** The part of a job that is counted. */
export type CountedJob = {
  readonly executorClass: string
  readonly state: JobState
  readonly reason?: Reason | undefined
  /** Set when an earlier process started the job: its first stages then have no known duration. */
  readonly isResumed?: boolean
}

/** Moments of one job, on the monotonic clock, in milliseconds. `movedAt` is its last transition in this process. */
type Times = { acceptedAt?: number; connectedAt?: number; movedAt?: number }

export class JobCounters {
  readonly #clock: Clock
  readonly #jobs: Counter
  readonly #stages: Histogram
  readonly #declined: Counter
  readonly #refused: Counter
  readonly #refusedFrames: Counter
  readonly #times = new WeakMap<CountedJob, Times>()
  readonly #ends: Record<FinalState, number> = { finished: 0, failed: 0, broken: 0, rejected: 0 }

  constructor(registry: Registry, clock: Clock) {
    this.#clock = clock
    const options = <N extends MetricName>(name: N) => {
      return { name, help: METRICS[name].help, labelNames: METRICS[name].labels, registers: [registry] }
    }
    this.#jobs = new Counter(options('miner_jobs_total'))
    this.#stages = new Histogram({ ...options('miner_job_stage_seconds'), buckets: STAGE_SECONDS })
    this.#declined = new Counter(options('miner_offers_declined_total'))
    this.#refused = new Counter(options('miner_refusals_total'))
    this.#refusedFrames = new Counter(options('miner_frames_refused_total'))
    // From the start, so that the rate counts the first one too.
    for (const reason of SIGNATURE_PROBLEMS) this.#refusedFrames.inc({ reason }, 0)
  }

  /** Records that this process drives a job from now on: a new one, or one that it resumed after a restart. */
  took(job: CountedJob): void {
    this.#times.set(job, job.isResumed ? {} : { acceptedAt: this.#clock.monotonic() })
  }

  /** Records that a job's executor connected. Reconnects do not count. */
  connected(job: CountedJob): void {
    const times = this.#times.get(job)
    if (times?.acceptedAt === undefined || times.connectedAt !== undefined) return
    times.connectedAt = this.#clock.monotonic()
    this.#stage(job, 'start', times.acceptedAt, times.connectedAt)
  }

  /** Records a transition that has been saved. */
  moved(job: CountedJob, from: JobState): void {
    const now = this.#clock.monotonic()
    const times = this.#times.get(job)
    if (times) {
      this.#stagesUntil(job, from, times, now)
      times.movedAt = now
    }
    if (!isFinal(job.state)) return
    this.#ends[job.state] += 1
    this.#jobs.inc({ executor_class: classLabel(job), end: job.state, reason: job.reason ?? 'none' })
  }

  /** Records a declined offer. */
  declined(executorClass: string, reason: Reason): void {
    this.#ends.rejected += 1
    this.#declined.inc({ executor_class: classLabel({ executorClass }), reason })
  }

  /** Records a refused connection. */
  refused(code: RefusalCode): void {
    this.#refused.inc({ reason: code })
  }

  /** Records a frame that does not count as its validator's. */
  refusedFrame(reason: SignatureProblem): void {
    this.#refusedFrames.inc({ reason })
  }

  /** Returns how many jobs ended in which way since the start. */
  ends(): Readonly<Record<FinalState, number>> {
    return { ...this.#ends }
  }

  #stagesUntil(job: CountedJob, from: JobState, times: Times, now: number): void {
    if (job.state === 'ready' && times.acceptedAt !== undefined) {
      this.#stage(job, 'prepare', times.connectedAt ?? times.acceptedAt, now)
      this.#stage(job, 'offer_to_ready', times.acceptedAt, now)
    }
    if (times.movedAt === undefined) return
    if (job.state === 'running') this.#stage(job, 'work', times.movedAt, now)
    if (from === 'running') this.#stage(job, 'run', times.movedAt, now)
  }

  #stage(job: CountedJob, stage: string, fromMs: number, toMs: number): void {
    this.#stages.observe({ executor_class: classLabel(job), stage }, (toMs - fromMs) / 1000)
  }
}

/** An unknown class is text that a peer chose, and must not become a label. */
function classLabel({ executorClass }: { executorClass: string }): string {
  return isExecutorClass(executorClass) ? executorClass : 'other'
}
