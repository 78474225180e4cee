/** Counts the jobs that end, by following the database: so every job counts, whoever drove it and however it ended. */
import type { Database } from '@horde/kit/database'
import type { Clock } from '@horde/kit/time'
import { DEFAULT_CLASS, isExecutorClass } from '@horde/protocol/classes'
import { Counter, Histogram, type Registry } from 'prom-client'
import { type EndedJob, jobsEndedAfter } from '../../db/for-operator/figures.ts'
import { METRICS } from './definitions.ts'

const READY_TO_WORK_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]
const RESULT_SECONDS = [0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 300, 600]
/** Ends are saved so long after their moment, at most, in milliseconds: so far one looks back. */
const LATE_MS = 120_000
/** No job lives longer, in milliseconds. */
const LIFE_MS = 86_400_000
/** How many are counted at once; more wait for the next time. */
const AT_ONCE = 20_000

export class JobTally {
  readonly #jobs: Counter
  readonly #readyToWork: Histogram
  readonly #results: Histogram
  /** Counted jobs by uuid, those that one may see again. */
  readonly #counted = new Map<string, number>()
  /** The latest end that was counted, in ms since the epoch. */
  #upTo: number
  readonly #since: number

  constructor(registry: Registry, clock: Clock) {
    const options = <N extends keyof typeof METRICS>(name: N) => {
      return { name, help: METRICS[name].help, labelNames: METRICS[name].labels, registers: [registry] }
    }
    this.#jobs = new Counter(options('validator_jobs_total'))
    this.#readyToWork = new Histogram({
      ...options('validator_ready_to_work_seconds'),
      buckets: READY_TO_WORK_SECONDS,
    })
    this.#results = new Histogram({ ...options('validator_result_seconds'), buckets: RESULT_SECONDS })
    this.#since = clock.now()
    this.#upTo = this.#since
  }

  /** Counts what ended since the last time. */
  async follow(db: Database): Promise<void> {
    const endedAfter = Math.max(this.#since, this.#upTo - LATE_MS)
    const range = { endedAfter: new Date(endedAfter), createdAfter: new Date(endedAfter - LIFE_MS) }
    for (const job of await jobsEndedAfter(db, range, AT_ONCE)) {
      if (this.#counted.has(job.uuid)) continue
      const endedAt = job.endedAt?.getTime() ?? 0
      this.#counted.set(job.uuid, endedAt)
      this.#upTo = Math.max(this.#upTo, endedAt)
      this.#count(job)
    }
    for (const [uuid, endedAt] of this.#counted) if (endedAt < this.#upTo - LATE_MS) this.#counted.delete(uuid)
  }

  #count({ kind, executorClass, state, reason, seconds, readyAt, runningAt }: EndedJob): void {
    const executor_class = classLabel(executorClass)
    this.#jobs.inc({ kind, executor_class, end: state, reason: reason ?? 'none' })
    if (seconds !== null) this.#results.observe({ kind, executor_class }, seconds)
    if (readyAt && runningAt) this.#readyToWork.observe((runningAt.getTime() - readyAt.getTime()) / 1000)
  }
}

/** A miner without a manifest has executors of the default class. */
function classLabel(executorClass: string | null): string {
  if (executorClass === null) return DEFAULT_CLASS
  return isExecutorClass(executorClass) ? executorClass : 'other'
}
