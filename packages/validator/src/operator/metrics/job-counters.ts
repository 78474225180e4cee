/**
 * Reads for the metrics what the database holds. Jobs are counted from there too: every job counts, whichever process
 * drove it.
 */
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { type Clock, withDeadline } from '@horde/kit/time'
import { DEFAULT_CLASS, isExecutorClass } from '@horde/protocol/classes'
import { Counter, Histogram, type Registry } from 'prom-client'
import { type EndedJob, type Figures, jobsEndedAfter, readFigures } from '../../db/overview.ts'
import { METRICS, type MetricName } from './definitions.ts'

const READY_TO_WORK_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]
const RESULT_SECONDS = [0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 300, 600]
/** An end is saved at most this long after it happened, in milliseconds. Each read looks back as far. */
const LATE_MS = 120_000
/** The longest life of a job, in milliseconds. */
const LIFE_MS = 86_400_000
/** How many jobs one read returns; further ones are counted by the next. */
const AT_ONCE = 20_000

export class JobCounters {
  readonly #jobs: Counter
  readonly #readyToWork: Histogram
  readonly #results: Histogram
  /** The uuids of counted jobs that the next read may return again, with when they ended. */
  readonly #counted = new Map<string, number>()
  /** The latest end that was counted, since the epoch, in milliseconds. */
  #upTo: number
  readonly #since: number

  constructor(registry: Registry, clock: Clock) {
    const options = (name: MetricName) => {
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

  /** Counts the jobs that ended since the last call. */
  async countEnded(db: Database): Promise<void> {
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

/** A job without a class ran on a miner without a manifest: its executors are of the default class. */
function classLabel(executorClass: string | null): string {
  if (executorClass === null) return DEFAULT_CLASS
  return isExecutorClass(executorClass) ? executorClass : 'other'
}

/** How long the database may take to answer for one scrape, in milliseconds. After that the last figures are shown. */
const FIGURES_MS = 3_000

export type StoredFiguresDeps = {
  netuid: number
  hotkey: string
  db: Database
  counters: JobCounters
  clock: Clock
  log: Log
}

/** The figures that /metrics takes from the database. */
export class StoredFigures {
  readonly #deps: StoredFiguresDeps
  #last: Figures | undefined
  #reading: Promise<void> | undefined

  constructor(deps: StoredFiguresDeps) {
    this.#deps = deps
  }

  /** What the database answered last; undefined before its first answer. */
  get last(): Figures | undefined {
    return this.#last
  }

  /** Asks the database, once for each scrape. Never rejects: without an answer the last figures stay. */
  async refresh(): Promise<void> {
    const { clock, log } = this.#deps
    try {
      // A read that hangs is not repeated: later scrapes wait for the same one.
      this.#reading ??= this.#read().finally(() => {
        this.#reading = undefined
      })
      await withDeadline(this.#reading, FIGURES_MS, 'figures of the database', clock)
    } catch (err) {
      log.debug({ err }, 'figures of the database could not be read')
    }
  }

  async #read(): Promise<void> {
    const { netuid, hotkey, db, counters } = this.#deps
    await counters.countEnded(db)
    this.#last = await readFigures(db, netuid, hotkey)
  }
}
