import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { BackoffOptions } from '@horde/kit/reconnect'
import type { Clock } from '@horde/kit/time'
import { isExecutorClass } from '@horde/protocol/classes'
import type { Dialect } from '@horde/protocol/handshake/dialects'
import { FIRST_STATE, type FinalState, type OpenState } from '@horde/protocol/job-state'
import { type JobUuid, jobUuid } from '@horde/protocol/primitives'
import type { Benchmark } from '../benchmarks/benchmark.ts'
import { type StageLimits, syntheticJob } from '../benchmarks/synthetic-job.ts'
import { countJobs } from '../db/batches.ts'
import { EMPTY_RESULT, type JobResult, type StoredJob, withShortTexts } from '../db/jobs.ts'
import { type Journal, untilSaved } from '../db/journal.ts'
import type { Manifest } from '../jobs/dialects/miner-dialect.ts'
import type { JobChannel } from '../jobs/job-channel.ts'
import { JobDriver } from '../jobs/job-driver.ts'
import type { ResumedJob } from '../jobs/job-spec.ts'
import { MinerConnection, type MinerConnectionOptions } from '../jobs/miner-connection.ts'
import type { ServingMiner } from '../jobs/miners/find-miners.ts'
import { awaitManifest, executorsOf } from '../jobs/miners/manifest.ts'
import type { HostClock } from '../jobs/timing/work-timer.ts'
import { openJobs, transition } from '../jobs/transition.ts'
import type { Scoring } from '../scoring/job-score.ts'
import type { StartBarrier, StartLimiter } from './start-limiter.ts'
import { newJobFor } from './stored-batch.ts'

/** The largest frame that a miner may send about synthetic jobs, in bytes. */
const MAX_SYNTHETIC_FRAME_BYTES = 2 * 1024 * 1024
/** How much a miner may send about all its jobs of a batch, in bytes. */
const MAX_SYNTHETIC_BYTES = 64 * 1024 * 1024

/** One miner's part in a batch. */
export interface MinerPart {
  miner: ServingMiner
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
  /** Whether an earlier process opened the batch. */
  isResumed: boolean
  /** Whether a stop leaves the open jobs open, for the next start. */
  keepOpen: boolean
  reconnect?: BackoffOptions | undefined
}

export interface PartDeps {
  hotkey: Hotkey
  db: Database
  journal: Journal
  /** What is known of the miners' dialects. */
  dialects: MinerConnectionOptions['dialects']
  /** The jobs of all miners wait here for each other. */
  barrier: StartBarrier
  /** Spaces out the connections, and the jobs. */
  dials: StartLimiter
  starts: StartLimiter
  clock: Clock
  log: Log
  onWorkSent?: ((waitedMs: number) => void) | undefined
  /**
   * Resolves when this process may act on its batch: not while the lock of batches is lost. Rejects when another
   * process has it.
   */
  whenLocked?: (() => Promise<void>) | undefined
  /** Absent where no clock outlives a process. */
  hostClock?: HostClock | undefined
}

export interface BatchJob {
  miner: ServingMiner
  uuid: JobUuid
  /**
   * How the job ended; undefined when a fault of ours, a stop, or another process kept it from being driven to an end.
   */
  end: JobResult | undefined
}

/**
 * Drives all of a miner's jobs in a batch: over one connection, or over one for each job where the miner's dialect wants
 * that. Each job succeeds or fails alone.
 */
export async function driveMiner(
  part: MinerPart,
  stored: readonly StoredJob[],
  deps: PartDeps,
  signal: AbortSignal,
): Promise<BatchJob[]> {
  const { miner, limits, endsAt } = part
  await deps.dials.begin(miner.hotkey, endsAt, signal)
  const startedIn = part.isResumed ? dialectOf(stored) : undefined
  await using connection = connect(part, { startedIn, maxBytes: MAX_SYNTHETIC_BYTES }, deps, signal)
  using channels = new DisposableStack()
  const withChannel = (job: StoredJob) => ({ job, channel: channels.use(connection.channel(job.uuid)) })
  // Opened before the manifest is awaited, so that messages that follow the manifest are not lost.
  const first = stored.map(withChannel)
  const manifest = await awaitManifest(connection, { ...limits, endsAt }, deps.clock, signal)
  const executors = executorsOf(manifest, part.maxJobsPerMiner)
  const isNew = !part.isResumed || (await isUntouched(part, stored, executors.length, deps.db))
  if (isNew && executors.length === 0) {
    deps.barrier.arrive()
    return await Promise.all(
      stored.map(async job => ({ miner, uuid: jobUuid.parse(job.uuid), end: await decline(job, deps) })),
    )
  }
  const added = isNew ? (await addJobs(part, executors.slice(stored.length), deps, signal)).map(withChannel) : []
  const all = [...first, ...added]
  const isPerJob = isNew && connection.isPerJob && all.length > 1
  const alone = isPerJob ? openAlone(part, all.length, deps, signal) : undefined
  const driven = all.map(({ job, channel }, i) => {
    const executorClass = job.executorClass ?? executors[isNew ? i : 0] ?? null
    const resumed = isNew ? undefined : resumedOf(job, manifest, deps)
    const open: DriveWith['open'] = alone ?? ((_, stack) => stack.use(channel))
    return driveOne(part, { ...job, executorClass }, { open, manifest, resumed }, deps, signal)
  })
  // All of the miner's jobs wait for a slot by now: the slots are shared out fairly once all miners have arrived.
  deps.barrier.arrive()
  if (isPerJob) await connection[Symbol.asyncDispose]()
  return await Promise.all(driven)
}

/**
 * Returns whether a resumed miner has just the one job that was opened before its manifest was read, not offered yet,
 * and lists more executors: the other jobs are still to be made.
 */
async function isUntouched(
  { batchId, benchmark, miner }: MinerPart,
  [job, ...more]: readonly StoredJob[],
  executors: number,
  db: Database,
): Promise<boolean> {
  if (!job || more.length > 0 || job.state !== FIRST_STATE || job.offeredAt !== null || executors < 2) return false
  return job.challenge?.benchmark === benchmark.name && (await countJobs(db, batchId, miner.hotkey)) === 1
}

/** Opens a job for each of these executors. */
async function addJobs(
  part: MinerPart,
  executors: ReturnType<typeof executorsOf>,
  deps: PartDeps,
  signal: AbortSignal,
): Promise<StoredJob[]> {
  const added = await Promise.all(executors.map(executorClass => newJobFor(part.miner, part, executorClass)))
  const where = { batchId: part.batchId, at: part.startedAt }
  return (await untilSaved(() => openJobs(deps.db, added, where), deps, signal)).opened
}

/** Returns what opens a job's own connection, which ends with the job. */
function openAlone(part: MinerPart, jobs: number, deps: PartDeps, signal: AbortSignal): DriveWith['open'] {
  const maxBytes = Math.max(2 * MAX_SYNTHETIC_FRAME_BYTES, MAX_SYNTHETIC_BYTES / jobs)
  return (uuid, stack) => stack.use(connect(part, { startedIn: 'v2026', maxBytes }, deps, signal)).channel(uuid)
}

/** Returns the dialect of jobs that an earlier process left open. Releases that noted none knew v0 alone. */
function dialectOf(jobs: readonly StoredJob[]): Dialect | undefined {
  const offered = jobs.find(job => job.offeredAt !== null)
  return offered && (offered.dialect ?? 'v0')
}

/** A miner that sends a manifest is no v0 miner, and may receive an offer twice. */
function resumedOf(job: StoredJob, manifest: Manifest | undefined, { hostClock }: PartDeps): ResumedJob {
  const workSentAt = hostClock?.fromHost(job.workSent)
  const isOffered = job.offeredAt !== null
  return { state: job.state as OpenState, repeatOffer: manifest !== undefined, isOffered, workSentAt }
}

interface DriveWith {
  /** Opens the job's channel once the job may start. What it opens closes with the job. */
  open(uuid: JobUuid, stack: AsyncDisposableStack): JobChannel
  manifest: Manifest | undefined
  resumed: ResumedJob | undefined
}

/** Waits for a slot and drives one job. Never rejects. */
async function driveOne(
  part: MinerPart,
  job: StoredJob,
  { open, manifest, resumed }: DriveWith,
  deps: PartDeps,
  signal: AbortSignal,
): Promise<BatchJob> {
  const { miner, benchmark, endsAt } = part
  const uuid = jobUuid.parse(job.uuid)
  const { challenge, executorClass: name } = job
  // A job of another benchmark cannot be judged. It is abandoned when its batch closes.
  if (challenge?.benchmark !== benchmark.name) return { miner, uuid, end: undefined }
  try {
    // After the job's end its messages are dropped, and not kept until the miner's other jobs have ended.
    await using opened = new AsyncDisposableStack()
    using slot = new DisposableStack()
    const given = await deps.starts.begin(miner.hotkey, endsAt, signal)
    if (!given) return { miner, uuid, end: await endWithoutSlot(job, deps) }
    slot.use(given)
    const channel = open(uuid, opened)
    // A v0 miner may hold the offer back. No other job waits for its slot, so one more than allowed runs when it
    // accepts.
    const onHeldBack = manifest === undefined ? () => slot.dispose() : undefined
    const executorClass = name !== null && isExecutorClass(name) ? name : undefined
    const spec = syntheticJob({ ...part, uuid, work: challenge.work, executorClass, resumed, onHeldBack }, deps.log)
    const end = await new JobDriver(spec, { ...deps, channel }, signal).drive()
    return { miner, uuid, end: end && withShortTexts(end) }
  } catch (err) {
    if (!signal.aborted) deps.log.error({ err, jobUuid: uuid, miner: miner.hotkey }, 'job could not be driven')
    return { miner, uuid, end: undefined }
  }
}

/** The batch closed before the job got a slot: not the miner's fault. */
function endWithoutSlot(job: StoredJob, deps: PartDeps): Promise<JobResult | undefined> {
  return endUndriven(job, 'stopped', { reason: 'no-turn' }, deps)
}

/** The miner's manifest lists no executor of a known class. */
function decline(job: StoredJob, deps: PartDeps): Promise<JobResult | undefined> {
  return endUndriven(job, 'decline', { reason: 'no-executor', score: 0, rightAnswer: false }, deps)
}

async function endUndriven(
  { uuid, state }: StoredJob,
  event: 'stopped' | 'decline',
  known: Partial<JobResult>,
  { journal, clock, log }: PartDeps,
): Promise<JobResult | undefined> {
  const moving = { uuid, state }
  const result = { ...EMPTY_RESULT, ...known }
  const move = { event, at: new Date(clock.now()), result }
  const isSaved = await transition(moving, move, { save: change => journal.save(change), log })
  return isSaved ? { ...result, state: moving.state as FinalState } : undefined
}

function connect(
  { miner, reconnect }: MinerPart,
  options: Pick<MinerConnectionOptions, 'startedIn' | 'maxBytes'>,
  { hotkey, dialects, journal, clock, log }: PartDeps,
  signal: AbortSignal,
): MinerConnection {
  return new MinerConnection({
    ...{ miner, hotkey, dialects, clock, log, signal, ...options },
    maxFrameBytes: MAX_SYNTHETIC_FRAME_BYTES,
    onReceipt: receipt => journal.keepReceipt(receipt),
    ...(reconnect ? { reconnect } : {}),
  })
}
