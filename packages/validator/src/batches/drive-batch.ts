import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { OpenBatch } from '../db/batches.ts'
import type { StoredJob } from '../db/jobs.ts'
import { Journal, untilSaved } from '../db/journal.ts'
import { LockLostError } from '../db/lock.ts'
import { type BatchJob, driveMiner, type MinerPart, type PartDeps } from './drive-miner.ts'
import { StartBarrier, StartLimiter, type StartLimits } from './start-limiter.ts'
import { closeBatch } from './stored-batch.ts'

/** How many miners are dialled in a second: each connection costs a signature. */
const DIALS: StartLimits = { atOnce: Number.POSITIVE_INFINITY, perSecond: 200 }

/** What driving a batch takes from the settings. */
export type DriveRequest = Omit<MinerPart, 'miner' | 'batchId' | 'startedAt' | 'deadline' | 'endsAt' | 'isResumed'> & {
  starts: StartLimits
  /** How long the first job waits for all miners to be connected, in ms. */
  gatherMs: number
}

export type DriveDeps = Omit<PartDeps, 'journal' | 'barrier' | 'dials' | 'starts'>

export interface BatchReport {
  id: number
  /** What was measured: sha256, … */
  benchmark: string
  jobs: BatchJob[]
  /** False when the batch was a trial, or cut short by a stop. */
  counts: boolean
}

/**
 * Drives an open batch until all its jobs have ended and are saved, and closes it. A failure of one miner's part leaves
 * the others alone.
 *
 * @param isResumed whether an earlier process opened the batch
 */
export async function driveBatch(
  { batch, openJobs }: OpenBatch,
  request: DriveRequest,
  isResumed: boolean,
  deps: DriveDeps,
  signal: AbortSignal,
): Promise<BatchReport> {
  const { clock } = deps
  const { id, benchmark, startedAt, deadline, counts } = batch
  // If the system's clock was set back meanwhile, the batch must not stay open for longer than it may.
  const leftMs = Math.min(deadline.getTime() - clock.now(), deadline.getTime() - startedAt.getTime())
  const endsAt = clock.monotonic() + leftMs
  const part = { ...request, batchId: id, startedAt, deadline, endsAt, isResumed }
  const gatherMs = isResumed ? 0 : Math.min(request.gatherMs, leftMs)
  const jobs = await driveMiners(openJobs, part, { starts: request.starts, gatherMs }, deps, signal)
  return closeOrKeep({ id, benchmark, jobs, counts }, request.keepOpen, deps, signal)
}

async function driveMiners(
  openJobs: readonly StoredJob[],
  part: Omit<MinerPart, 'miner'>,
  { starts, gatherMs }: { starts: StartLimits; gatherMs: number },
  deps: DriveDeps,
  signal: AbortSignal,
): Promise<BatchJob[]> {
  const { db, clock, log } = deps
  const byMiner = [...Map.groupBy(openJobs, job => job.minerAddress + job.minerHotkey).values()]
  await using journal = new Journal({ db, clock, log }, signal)
  using barrier = new StartBarrier(byMiner.length, gatherMs, clock, signal)
  const limiters = { dials: new StartLimiter(DIALS, clock), starts: new StartLimiter(starts, clock, barrier.opened) }
  const driven = byMiner.map(async jobs => {
    const [{ minerHotkey: hotkey, minerUid: uid, minerAddress: address }] = jobs as [StoredJob]
    try {
      const shared = { ...deps, ...limiters, journal, barrier }
      return await driveMiner({ ...part, miner: { hotkey, uid, address } }, jobs, shared, signal)
    } catch (err) {
      if (!signal.aborted) log.error({ err, miner: hotkey }, "a miner's part of a batch failed")
      return []
    }
  })
  return (await Promise.all(driven)).flat()
}

/**
 * Closes a batch whose jobs have ended. After a stop it stays open for the next start, or does not count. When another
 * process has taken over, it is left alone.
 */
async function closeOrKeep(
  report: BatchReport,
  keepOpen: boolean,
  { db, clock, log }: { db: Database; clock: Clock; log: Log },
  signal: AbortSignal,
): Promise<BatchReport> {
  const { id, jobs } = report
  if (signal.reason instanceof LockLostError) {
    log.warn({ batch: id, err: signal.reason }, 'batch handed over to the process that has the lock')
    return { ...report, counts: false }
  }
  if (signal.aborted && keepOpen) {
    log.info({ batch: id }, 'batch left open for the next start')
    return { ...report, counts: false }
  }
  const counts = report.counts && !signal.aborted
  const close = () => closeBatch(db, { id, at: new Date(clock.now()), counts }, log)
  await untilSaved(close, { clock, log }, signal)
  const rightAnswers = jobs.filter(job => job.end?.rightAnswer).length
  log.info({ batch: id, jobs: jobs.length, rightAnswers, counts }, 'batch closed')
  return { ...report, counts }
}
