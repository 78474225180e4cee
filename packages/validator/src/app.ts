/** Wires the parts of a validator together. */
import type { Chain } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import type { OpenDatabase } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { BatchSchedule } from './batches/batch-schedule.ts'
import type { BatchReport } from './batches/drive-batch.ts'
import { type BatchRequest, resumeBatches, runBatch } from './batches/run-batch.ts'
import { closeOverdueBatches } from './batches/stored-batch.ts'
import type { Benchmark } from './benchmarks/benchmark.ts'
import type { ValidatorConfig } from './config.ts'
import { overdueOrganicJobs } from './db/jobs.ts'
import { keepLock, oneAtATime } from './db/lock.ts'
import { endOrphanedUserJobs } from './db/users/user-jobs.ts'
import { KnownDialects } from './jobs/dialects/known-dialects.ts'
import { hostClockOf } from './jobs/timing/work-timer.ts'
import { abandonJobs } from './jobs/transition.ts'
import type { FacilitatorConnection } from './organic/facilitator-connection.ts'
import { wireFacilitator } from './organic/wire-facilitator.ts'
import { recheckIncluded } from './weights/recheck-included.ts'
import { revealWeights } from './weights/reveal-weights.ts'
import { setWeights, type WeightsOutcome } from './weights/set-weights.ts'

/** A batch this long past its deadline, or an organic job this long after its start, is an orphan, in ms. */
const BATCH_OVERDUE_MS = 30_000
const ORGANIC_OVERDUE_MS = 900_000

/** Another caller runs a batch at the moment. */
export class BusyError extends Error {
  override readonly name = 'BusyError'
}

export interface ValidatorDeps {
  config: ValidatorConfig
  chain: Chain
  hotkey: Hotkey
  /** What synthetic jobs consist of. */
  benchmark: Benchmark
  database: OpenDatabase
  /** Whether a batch that a stop interrupts stays open, so that the next start resumes it. Default: false. */
  keepOpen?: boolean
  /** Called with how long a ready executor waited for its work, in ms. */
  onWorkSent?: (waitedMs: number) => void
  clock: Clock
  log: Log
}

/** What a validator can do. Each runs when it is called. */
export interface Validator {
  /** Which dialect each miner speaks. */
  dialects: KnownDialects
  /**
   * Runs one batch: a synthetic job for every executor of every serving miner, or of those in `only`: hotkeys, uids, or
   * hotkey@host:port. With `only` the batch is a trial, which is never scored.
   *
   * @throws BusyError while another batch of this validator runs
   */
  batch(signal: AbortSignal, options?: { only?: readonly string[] | undefined }): Promise<BatchReport>
  /** Resumes the batches that an earlier process left open. */
  resume(signal: AbortSignal): Promise<BatchReport[]>
  schedule: BatchSchedule
  /** Sets the weights that are due. */
  weights(signal: AbortSignal): Promise<WeightsOutcome>
  /** Reveals the commits that are due. Returns in how many ms to look again; undefined when none waits. */
  reveals(signal: AbortSignal): Promise<number | undefined>
  /** Opens the connection to the facilitator, if one is configured. The caller disposes of it. */
  facilitator(): FacilitatorConnection | undefined
  /** Asks all miners for their manifests, from which miners for users' jobs are picked. */
  askManifests(signal: AbortSignal): Promise<void>
  /** Ends orphans: batches and organic jobs that no process drives any more. */
  sweep(): Promise<void>
}

export function wireValidator(deps: ValidatorDeps): Validator {
  const { config, chain, hotkey, benchmark, database, keepOpen = false, clock, log, onWorkSent } = deps
  const { db, dialect } = database
  const netuid = config.BITTENSOR_NETUID
  const lockNamed = (what: string) => {
    return oneAtATime(dialect, config.databaseUrl, `${what} of ${hotkey.ss58} on ${netuid}`, log)
  }
  const tryLock = lockNamed('weights')
  // A lock of its own: setting weights waits for the rate limit, and a reveal must not wait for that.
  const tryRevealLock = lockNamed('reveals')
  const tryBatchLock = lockNamed('batches')
  const final = new Set<number>()
  const request = batchRequest(config, benchmark, keepOpen)
  const dialects = new KnownDialects({ keptMs: config.DIALECT_KEPT_SECONDS * 1000, clock, log })
  const batchDeps = { chain, hotkey, dialects, db, clock, hostClock: hostClockOf(clock), log, onWorkSent }
  return {
    dialects,
    batch: async (signal, { only } = {}) => {
      await using lock = await keepLock(tryBatchLock, { clock, log })
      if (!lock) throw new BusyError('another batch of this validator is running')
      const whenLocked = () => lock.held()
      return await runBatch({ ...request, only }, { ...batchDeps, whenLocked }, AbortSignal.any([signal, lock.lost]))
    },
    resume: async signal => {
      await using lock = await keepLock(tryBatchLock, { clock, log })
      if (!lock) return []
      const whenLocked = () => lock.held()
      return await resumeBatches(request, { ...batchDeps, whenLocked }, AbortSignal.any([signal, lock.lost]))
    },
    schedule: new BatchSchedule({
      ...{ netuid, windowMs: config.BATCH_INTERVAL_SECONDS * 1000, outside: config.BATCHES_OUTSIDE_VALIDATORS },
      ...{ chain, hotkey, db, clock, log },
    }),
    weights: signal => {
      const request = {
        netuid,
        versionKey: config.WEIGHTS_VERSION_KEY,
        commitBy: config.WEIGHTS_COMMIT_BY,
        maxWaitBlocks: config.WEIGHTS_WAIT_BLOCKS,
      }
      const { scoringRules } = config
      return setWeights(request, { chain, hotkey, db, tryLock, final, clock, scoringRules, log }, signal)
    },
    reveals: async signal => {
      await recheckIncluded(netuid, final, { chain, hotkey, db, clock, log })
      return revealWeights(netuid, { chain, hotkey, db, tryLock: tryRevealLock, clock, log }, signal)
    },
    ...wireFacilitator({ config, chain, hotkey, dialects, db, keepOpen, clock, log }),
    sweep: async () => {
      const now = new Date(clock.now())
      const synthetic = await closeOverdueBatches(db, new Date(now.getTime() - BATCH_OVERDUE_MS), now, log)
      const createdBefore = new Date(now.getTime() - ORGANIC_OVERDUE_MS)
      const overdue = await overdueOrganicJobs(db, createdBefore, now)
      const organic = await abandonJobs(db, overdue, now, log)
      const users = await endOrphanedUserJobs(db, createdBefore, now)
      if (synthetic + organic + users > 0) log.warn({ synthetic, organic, users }, 'orphaned jobs ended')
    },
  }
}

function batchRequest(config: ValidatorConfig, benchmark: Benchmark, keepOpen: boolean): BatchRequest {
  return {
    netuid: config.BITTENSOR_NETUID,
    allowPrivate: config.ALLOW_PRIVATE_MINERS,
    benchmark,
    scoring: config.scoring,
    limits: config.limits,
    starts: config.starts,
    maxJobsPerMiner: config.MAX_JOBS_PER_MINER,
    gatherMs: config.BATCH_GATHER_SECONDS * 1000,
    deadlineMs: config.BATCH_DEADLINE_SECONDS * 1000,
    keepOpen,
  }
}
