import type { Database, OpenDatabase } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { type Loop, startLoop } from '@horde/kit/loop'
import type { Clock } from '@horde/kit/time'
import type { MinerConfig } from './config.ts'
import { evictOldJobs } from './db/evict-jobs.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** How often jobs that are kept no longer are looked for, and how long after the start first, in milliseconds. */
const EVERY_MS = HOUR_MS
const FIRST_MS = 600_000

export type EvictionDeps = {
  db: Database
  reclaimSpace: OpenDatabase['reclaimSpace']
  clock: Clock
  log: Log
}

type Kept = Pick<MinerConfig, 'JOBS_KEPT_DAYS' | 'RESULTS_KEPT_DAYS' | 'DELIVERED_RESULTS_KEPT_HOURS'>

/** Has old jobs removed, and outputs that nobody waits for cut, once an hour. */
export function startEviction(config: Kept, deps: EvictionDeps, signal: AbortSignal): Loop {
  const { db, reclaimSpace, clock, log } = deps
  const retention = {
    jobsKeptMs: config.JOBS_KEPT_DAYS * DAY_MS,
    resultsKeptMs: config.RESULTS_KEPT_DAYS * DAY_MS,
    deliveredKeptMs: config.DELIVERED_RESULTS_KEPT_HOURS * HOUR_MS,
  }
  const run = async (stop: AbortSignal) => {
    const evicted = await evictOldJobs(db, retention, new Date(clock.now()), stop)
    if (evicted.jobs + evicted.outputs > 0) log.info({ ...evicted }, 'old jobs evicted')
    // Also of rows that were changed: each change leaves a dead one.
    if (!stop.aborted) await reclaimSpace()
  }
  return startLoop({ name: 'evict', everyMs: EVERY_MS, firstAfterMs: FIRST_MS, run, clock, log, signal })
}
