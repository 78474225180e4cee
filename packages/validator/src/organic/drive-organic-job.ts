/** Drives a user's job on its miner: a new one, or one that an earlier process left open. */
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { BackoffOptions } from '@horde/kit/reconnect'
import type { Clock } from '@horde/kit/time'
import { isExecutorClass } from '@horde/protocol/classes'
import { LARGE_FRAME_BYTES } from '@horde/protocol/frame'
import type { JobState, OpenState } from '@horde/protocol/job-state'
import type { JobResult, StoredJob } from '../db/jobs.ts'
import { Journal } from '../db/journal.ts'
import type { Manifest } from '../jobs/dialects/miner-dialect.ts'
import { JobDriver } from '../jobs/job-driver.ts'
import type { JobSpec, ResumedJob } from '../jobs/job-spec.ts'
import { MinerConnection, type MinerConnectionOptions } from '../jobs/miner-connection.ts'
import { awaitManifest, classFor } from '../jobs/miners/manifest.ts'
import { type OrganicLimits, organicJob } from './organic-job.ts'
import type { UserJob } from './user-job.ts'

export interface DriveOrganicDeps {
  reconnect?: BackoffOptions | undefined
  hotkey: Hotkey
  /** What is known of the miners' dialects. */
  dialects: MinerConnectionOptions['dialects']
  db: Database
  clock: Clock
  log: Log
}

export interface OrganicDrive extends Pick<JobSpec, 'keepOpen' | 'keepsReport' | 'onStage'> {
  asked: UserJob
  limits: OrganicLimits
  deadline: Date
  /** Whether an earlier process was driving the job. */
  isResumed: boolean
  /** Called with each state that the job reaches, once it is saved. */
  onMoved(state: JobState): void
}

/**
 * Drives a stored organic job to its end. Returns how it ended; undefined when another process finalised it: then
 * nothing is reported.
 */
export async function driveOrganicJob(
  job: StoredJob,
  { asked, limits, deadline, isResumed, ...how }: OrganicDrive,
  deps: DriveOrganicDeps,
  signal: AbortSignal,
): Promise<JobResult | undefined> {
  const { reconnect, hotkey, dialects, db, clock, log } = deps
  const { executorClass: name, minerHotkey, minerAddress } = job
  const startedAt = clock.monotonic()
  const endsAt = startedAt + (deadline.getTime() - clock.now())
  await using journal = new Journal({ db, clock, log }, signal)
  await using connection = new MinerConnection({
    miner: { hotkey: minerHotkey, address: minerAddress },
    // A job that an earlier release offered without noting the dialect was offered in v0.
    startedIn: isResumed && job.offeredAt !== null ? (job.dialect ?? 'v0') : undefined,
    ...{ hotkey, dialects, clock, log, signal, maxFrameBytes: LARGE_FRAME_BYTES },
    onReceipt: receipt => journal.keepReceipt(receipt),
    ...(reconnect ? { reconnect } : {}),
  })
  // Opened before the manifest is awaited, so that messages that follow the manifest are not lost.
  using channel = connection.channel(asked.work.jobUuid)
  const stored = name !== null && isExecutorClass(name) ? name : undefined
  const needsManifest = job.offeredAt === null ? stored === undefined : isRepeatUnclear(job, asked)
  const manifest = needsManifest ? await awaitManifest(connection, { ...limits, endsAt }, clock, signal) : undefined
  const executorClass = stored ?? classFor(asked.work.preset === 'none' ? 'none' : 'nvidia_all', manifest)
  const connectMs = connection.isConnected ? limits.connectMs : startedAt + limits.connectMs - clock.monotonic()
  const spec = {
    ...organicJob(asked, { ...limits, connectMs }, endsAt, executorClass),
    ...how,
    ...(isResumed ? { resumed: resumedOf(job, asked, manifest) } : {}),
  }
  return await new JobDriver(spec, { channel, journal, clock, log }, signal).drive()
}

/**
 * A v0 miner may receive an offer twice if it sends manifests. It does when it has sent one now, or when the class of
 * the job was read from one because the user named none.
 */
function resumedOf(job: StoredJob, asked: UserJob, manifest: Manifest | undefined): ResumedJob {
  const isOffered = job.offeredAt !== null
  const hadManifest = job.executorClass !== null && asked.executorClass === undefined
  return { state: job.state as OpenState, repeatOffer: !isOffered || hadManifest || manifest !== undefined, isOffered }
}

/** Whether only a manifest can show that the miner may receive the offer of this job twice. */
function isRepeatUnclear({ dialect }: StoredJob, asked: UserJob): boolean {
  return (dialect ?? 'v0') === 'v0' && asked.executorClass !== undefined
}
