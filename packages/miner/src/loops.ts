/**
 * What the miner does periodically: it refreshes the list of validators, announces its address, commits its manifest,
 * and removes old jobs.
 */
import type { Database, OpenDatabase } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { type Loop, startLoop } from '@horde/kit/loop'
import type { Clock } from '@horde/kit/time'
import type { Announcer } from './announce/announcer.ts'
import type { ManifestCommitter } from './announce/manifest-committer.ts'
import type { MinerConfig } from './config.ts'
import { evictOldJobs } from './db/evict-jobs.ts'
import { removeReceipts } from './db/receipts.ts'
import type { LiveJobs } from './jobs/live-job.ts'
import type { ValidatorConnections } from './validators/validator-connection.ts'
import type { ValidatorList } from './validators/validator-list.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** How often old jobs are removed, and how long after the start first, in milliseconds. */
const EVICT_EVERY_MS = HOUR_MS
const EVICT_FIRST_MS = 600_000
/**
 * How often the manifest is compared with the chain, in milliseconds, which bounds how often it is committed. The first
 * time only when the watches have looked at the pools.
 */
const COMMIT_EVERY_MS = 300_000
const COMMIT_FIRST_MS = 60_000

export type LoopDeps = EvictionDeps & {
  config: MinerConfig
  announcer: Announcer
  committer: ManifestCommitter | undefined
  connections: ValidatorConnections
  validators: ValidatorList
  live: LiveJobs
}

/** Starts all loops; they end with `signal`, or with `stack`. */
export function startLoops(deps: LoopDeps, signal: AbortSignal, stack: AsyncDisposableStack): void {
  const { config, announcer, committer, validators, clock, log } = deps
  const start = (name: string, everyMs: number, run: (signal: AbortSignal) => Promise<void>, firstAfterMs = 0) =>
    stack.use(startLoop({ name, everyMs, firstAfterMs, run, clock, log, signal }))
  start('validators', config.VALIDATORS_REFRESH_SECONDS * 1000, async aborted => {
    await unlessAborted(validators.refresh(), aborted)
    await dismissFormerValidators(deps)
  })
  stack.use(startEviction(config, deps, signal))
  if (config.MIGRATING) return
  start('announce', config.ANNOUNCE_SECONDS * 1000, aborted => unlessAborted(announcer.run(aborted), aborted))
  if (committer === undefined) return
  start('manifest', COMMIT_EVERY_MS, aborted => unlessAborted(committer.run(), aborted), COMMIT_FIRST_MS)
}

/** Closes the connections of hotkeys that are no validators any more, once none of their jobs is driven here. */
async function dismissFormerValidators({ connections, validators, live, log }: LoopDeps): Promise<void> {
  const former = connections.all().filter(({ validator }) => !validators.has(validator))
  const idle = former.filter(({ validator }) => live.of(validator).length === 0)
  for (const { validator, number: connection } of idle) log.info({ validator, connection }, 'validator dismissed')
  await Promise.all(idle.map(connection => connection.dismiss('You are no validator of this subnet any more')))
}

export type EvictionDeps = {
  db: Database
  reclaimSpace: OpenDatabase['reclaimSpace']
  clock: Clock
  log: Log
}

type Kept = Pick<
  MinerConfig,
  'JOBS_KEPT_DAYS' | 'RESULTS_KEPT_DAYS' | 'DELIVERED_RESULTS_KEPT_HOURS' | 'RECEIPTS_KEPT_DAYS'
>

/** Removes old jobs, and cuts outputs that no validator waits for any more, once an hour. */
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
    const receipts = await removeReceipts(db, new Date(clock.now() - config.RECEIPTS_KEPT_DAYS * DAY_MS), stop)
    if (receipts > 0) log.info({ receipts }, 'old receipts evicted')
    // Also after a round that removed nothing: each update leaves a dead row.
    if (!stop.aborted) await reclaimSpace()
  }
  const times = { everyMs: EVICT_EVERY_MS, firstAfterMs: EVICT_FIRST_MS }
  return startLoop({ name: 'evict', ...times, run, clock, log, signal })
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
