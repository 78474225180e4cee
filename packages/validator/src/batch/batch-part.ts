/** What the parts of a batch have in common. */
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { BackoffOptions } from '@horde/kit/reconnect'
import type { Clock } from '@horde/kit/time'
import type { ExecutorClass } from '@horde/protocol/classes'
import type { JobUuid } from '@horde/protocol/primitives'
import type { Benchmark, Work } from '../benchmarks/benchmark.ts'
import type { StageLimits } from '../benchmarks/synthetic-job.ts'
import type { Journal } from '../db/journal.ts'
import type { BriefEnd } from '../job/brief-end.ts'
import type { HostClock } from '../job/host-clock.ts'
import type { ServingMiner } from '../miner/serving.ts'
import type { Scoring } from '../scoring/job-score.ts'
import type { Gate } from './gate.ts'
import type { Starts } from './starts.ts'

/** What all jobs of a batch have in common. */
export interface BatchPart {
  batchId: number
  startedAt: Date
  deadline: Date
  /** When the batch closes, in ms of the monotonic clock. */
  endsAt: number
  benchmark: Benchmark
  scoring: Scoring
  limits: StageLimits
  /** How many jobs a miner gets at most, whatever its manifest lists. */
  maxJobsPerMiner: number
  /** Whether a stop leaves the open jobs open, for the next start. */
  leaveOpen: boolean
  reconnect?: BackoffOptions | undefined
}

export interface PartDeps {
  hotkey: Hotkey
  db: Database
  journal: Journal
  /** The first job waits here for the others. */
  gate: Gate
  /** Spaces out the connections, and the jobs. */
  dials: Starts
  starts: Starts
  clock: Clock
  log: Log
  onWorkSent?: ((waitedMs: number) => void) | undefined
  /** Resolves when this process may act on its batch: not while the lock of batches is lost. Rejects when another process has it. */
  whenLocked?: (() => Promise<void>) | undefined
  /** Absent where no clock outlives a process. */
  hostClock?: HostClock | undefined
}

export interface BatchJob {
  miner: ServingMiner
  uuid: JobUuid
  /** Undefined when our own fault, or a stop, kept it from being driven to an end. */
  end: BriefEnd | undefined
}

/** A job that has its row. */
export interface OpenJob {
  uuid: JobUuid
  work: Work
  executorClass: ExecutorClass | undefined
}

/** One miner's part. */
export type MinerPart = BatchPart & { miner: ServingMiner }

export interface BatchReport {
  id: number
  /** What was measured: sha256, … */
  benchmark: string
  jobs: BatchJob[]
  /** False when the batch was a trial, or cut short by a stop. */
  counts: boolean
}
