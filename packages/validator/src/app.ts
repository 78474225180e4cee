/** Wires a validator: what it does, on what it was given. */
import type { Chain } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import type { OpenDatabase } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { BatchReport } from './batch/batch-part.ts'
import { Turns } from './batch/turns.ts'
import type { Benchmark } from './benchmarks/benchmark.ts'
import type { ValidatorConfig } from './config.ts'
import { closeOverdueBatches } from './db/batches.ts'
import { abandonOrganicJobs } from './db/jobs.ts'
import { keepLock } from './db/kept-lock.ts'
import { oneAtATime } from './db/one-at-a-time.ts'
import { markTold } from './db/organic-jobs.ts'
import { FacilitatorLink } from './facilitator.ts'
import { hostClockOf } from './job/host-clock.ts'
import { leftOrganicJobs } from './organic/left-jobs.ts'
import { resumeBatches } from './resume-batches.ts'
import { type BatchRequest, runBatch } from './run-batch.ts'
import { runOrganicJob } from './run-organic-job.ts'
import { setWeights, type WeightsOutcome } from './set-weights.ts'
import { recheckIncluded } from './weights/recheck-included.ts'
import { revealWeights } from './weights/reveal-weights.ts'

/** How long after its deadline a batch, and after its start an organic job, counts as left behind, in ms. */
const BATCH_OVERDUE_MS = 30_000
const ORGANIC_OVERDUE_MS = 900_000

/** Somebody else is at it already. */
export class BusyError extends Error {
  override readonly name = 'BusyError'
}

export interface ValidatorDeps {
  config: ValidatorConfig
  chain: Chain
  hotkey: Hotkey
  /** What synthetic jobs are. */
  benchmark: Benchmark
  database: OpenDatabase
  /** Whether batches and organic jobs that a stop cuts short are taken up at the next start. Default: false. */
  leaveOpen?: boolean
  /** Told how long a ready executor waited for its work, in ms. */
  onWorkSent?: (waitedMs: number) => void
  clock: Clock
  log: Log
}

/** What a validator can do, each when told to. */
export interface Validator {
  /**
   * One batch: a synthetic job for every executor of every serving miner, or just of those in `only`: hotkeys, uids, or
   * hotkey@host:port. Such a batch is a trial, which is never scored.
   *
   * @throws BusyError while another batch of this validator runs
   */
  batch(signal: AbortSignal, options?: { only?: readonly string[] | undefined }): Promise<BatchReport>
  /** Takes up the batches that an earlier process left open. */
  resume(signal: AbortSignal): Promise<BatchReport[]>
  /** When the next batch is due. */
  turns: Turns
  /** Sets the weights that are due. */
  weights(signal: AbortSignal): Promise<WeightsOutcome>
  /** Reveals the commits that are due; in how many ms to look again, undefined when none waits. */
  reveals(signal: AbortSignal): Promise<number | undefined>
  /** The link to the facilitator, when one is set; whoever opens it disposes of it. */
  facilitator(): FacilitatorLink | undefined
  /** Ends what an earlier process left behind. */
  sweep(): Promise<void>
}

export function wireValidator(deps: ValidatorDeps): Validator {
  const { config, chain, hotkey, benchmark, database, leaveOpen = false, clock, log, onWorkSent } = deps
  const { db, dialect } = database
  const netuid = config.BITTENSOR_NETUID
  const tryLock = oneAtATime(dialect, config.databaseUrl, `weights of ${hotkey.ss58} on ${netuid}`, log)
  // A lock of its own: setting waits for the rate limit, and a reveal must not wait for that.
  const final = new Set<number>()
  const tryRevealLock = oneAtATime(dialect, config.databaseUrl, `reveals of ${hotkey.ss58} on ${netuid}`, log)
  const tryBatchLock = oneAtATime(dialect, config.databaseUrl, `batches of ${hotkey.ss58} on ${netuid}`, log)
  const request = batchRequest(config, benchmark, leaveOpen)
  const batchDeps = { chain, hotkey, db, clock, hostClock: hostClockOf(clock), log, onWorkSent }
  return {
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
    turns: new Turns({
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
    facilitator: () => {
      if (config.FACILITATOR_URI === undefined) return undefined
      const shared = { chain, hotkey, db, clock, log }
      const organic = {
        netuid,
        source: 'facilitator' as const,
        allowPrivate: config.ALLOW_PRIVATE_MINERS,
        limits: config.organicLimits,
        ...shared,
      }
      return new FacilitatorLink({
        ...{ uri: config.FACILITATOR_URI, hotkey, clock, log },
        leftJobs: signal => leftOrganicJobs(organic, signal),
        onTold: ({ uuid }) => {
          // What is not noted is told again after a restart.
          markTold(db, uuid, new Date(clock.now())).catch(err => log.warn({ err, jobUuid: uuid }, 'not noted as told'))
        },
        run: (request, report, signal) => runOrganicJob(request, { ...organic, report }, signal),
      })
    },
    sweep: async () => {
      const now = clock.now()
      const synthetic = await closeOverdueBatches(db, new Date(now - BATCH_OVERDUE_MS), new Date(now))
      const organic = await abandonOrganicJobs(db, new Date(now - ORGANIC_OVERDUE_MS), new Date(now))
      if (synthetic + organic > 0) log.warn({ synthetic, organic }, 'jobs that nobody drove any more were ended')
    },
  }
}

function batchRequest(config: ValidatorConfig, benchmark: Benchmark, leaveOpen: boolean): BatchRequest {
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
    leaveOpen,
  }
}
