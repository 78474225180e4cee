/** Wires a validator: what it does, on what it was given. */
import type { Chain } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import type { OpenDatabase } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { algorithmAt, hashcatBenchmark, makeChallenge } from './benchmarks/hashcat.ts'
import type { ValidatorConfig } from './config.ts'
import { closeOverdueBatches } from './db/batches.ts'
import { abandonOrganicJobs } from './db/jobs.ts'
import { oneAtATime } from './db/one-at-a-time.ts'
import { FacilitatorLink } from './facilitator.ts'
import { type BatchReport, runBatch } from './run-batch.ts'
import { runOrganicJob } from './run-organic-job.ts'
import { setWeights, type WeightsOutcome } from './set-weights.ts'

/** How long after its deadline a batch, and after its start an organic job, counts as left behind, in ms. */
const BATCH_OVERDUE_MS = 30_000
const ORGANIC_OVERDUE_MS = 900_000

export interface ValidatorDeps {
  config: ValidatorConfig
  chain: Chain
  hotkey: Hotkey
  database: OpenDatabase
  clock: Clock
  log: Log
}

/** What a validator can do, each when told to. */
export interface Validator {
  /** One batch: a synthetic job for every serving miner, by the algorithm of the hour. */
  batch(signal: AbortSignal): Promise<BatchReport>
  /** Sets the weights that are due. */
  weights(signal: AbortSignal): Promise<WeightsOutcome>
  /** The link to the facilitator, when one is set; whoever opens it disposes of it. */
  facilitator(): FacilitatorLink | undefined
  /** Ends what an earlier process left behind. */
  sweep(): Promise<void>
}

export function wireValidator({ config, chain, hotkey, database, clock, log }: ValidatorDeps): Validator {
  const { db, dialect } = database
  const netuid = config.BITTENSOR_NETUID
  const tryLock = oneAtATime(dialect, config.databaseUrl, `weights of ${hotkey.ss58} on ${netuid}`, log)
  return {
    batch: signal => {
      const algorithm = algorithmAt(clock.now(), config.algorithms)
      const request = {
        netuid,
        allowPrivate: config.ALLOW_PRIVATE_MINERS,
        benchmarkName: algorithm.name,
        makeBenchmark: () => hashcatBenchmark(makeChallenge(algorithm), config.SYNTHETIC_JOB_IMAGE),
        limits: config.limits,
        deadlineMs: config.BATCH_DEADLINE_SECONDS * 1000,
      }
      return runBatch(request, { chain, hotkey, db, clock, log }, signal)
    },
    weights: signal => {
      const request = { netuid, versionKey: config.WEIGHTS_VERSION_KEY, maxWaitBlocks: config.WEIGHTS_WAIT_BLOCKS }
      return setWeights(request, { chain, hotkey, db, tryLock, clock, log }, signal)
    },
    facilitator: () => {
      if (config.FACILITATOR_URI === undefined) return undefined
      const shared = { chain, hotkey, db, clock, log }
      const organic = { netuid, allowPrivate: config.ALLOW_PRIVATE_MINERS, limits: config.organicLimits, ...shared }
      return new FacilitatorLink({
        ...{ uri: config.FACILITATOR_URI, hotkey, clock, log },
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
