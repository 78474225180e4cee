/** What is done every so often: who the validators are, what the chain says of us, what is kept no longer. */
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { startLoop } from '@horde/kit/loop'
import type { Clock } from '@horde/kit/time'
import type { Announcer } from './announce/announcer.ts'
import type { MinerConfig } from './config.ts'
import { evictOldJobs } from './db/evict-jobs.ts'
import { type DismissDeps, dismissStrangers } from './validators/dismiss-strangers.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** How often jobs that are kept no longer are looked for, and how long after the start first, in milliseconds. */
const EVICT_EVERY_MS = HOUR_MS
const EVICT_FIRST_MS = 600_000

export type LoopDeps = DismissDeps & {
  config: MinerConfig
  announcer: Announcer
  db: Database
  clock: Clock
  log: Log
}

/** Starts them all; they end with `signal`, or with `stack`. */
export function startLoops(deps: LoopDeps, signal: AbortSignal, stack: AsyncDisposableStack): void {
  const { config, announcer, validators, clock, log } = deps
  const start = (name: string, everyMs: number, run: (signal: AbortSignal) => Promise<void>, firstAfterMs = 0) =>
    stack.use(startLoop({ name, everyMs, firstAfterMs, run, clock, log, signal }))
  start('validators', config.VALIDATORS_REFRESH_SECONDS * 1000, async aborted => {
    await unlessAborted(validators.refresh(), aborted)
    await dismissStrangers(deps)
  })
  start('evict', EVICT_EVERY_MS, aborted => evict(deps, aborted), EVICT_FIRST_MS)
  if (config.MIGRATING) return
  start('announce', config.ANNOUNCE_SECONDS * 1000, aborted => unlessAborted(announcer.run(aborted), aborted))
}

/** A miner that stops need not wait for the chain, which may take minutes to answer; closing it ends the call. */
async function unlessAborted(call: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([call, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
    call.catch(() => {})
  }
}

async function evict({ config, db, clock, log }: LoopDeps, signal: AbortSignal): Promise<void> {
  const retention = {
    jobsKeptMs: config.JOBS_KEPT_DAYS * DAY_MS,
    resultsKeptMs: config.RESULTS_KEPT_DAYS * DAY_MS,
    deliveredKeptMs: config.DELIVERED_RESULTS_KEPT_HOURS * HOUR_MS,
  }
  const evicted = await evictOldJobs(db, retention, new Date(clock.now()), signal)
  if (evicted.jobs + evicted.outputs > 0) log.info({ ...evicted }, 'old jobs evicted')
}
