import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { BackoffOptions } from '@horde/kit/reconnect'
import type { Clock } from '@horde/kit/time'
import { isExecutorClass } from '@horde/protocol/classes'
import type { FacilitatorJobRequest, V0JobStatusUpdate } from '@horde/protocol/facilitator-validator'
import { LARGE_FRAME_BYTES } from '@horde/protocol/frame'
import type { JobState, OpenState } from '@horde/protocol/job-state'
import type { JobResult, StoredJob } from '../db/jobs.ts'
import { Journal } from '../db/journal.ts'
import { JobDriver } from '../jobs/job-driver.ts'
import { awaitManifest, classFor } from '../jobs/manifest.ts'
import { MinerConnection } from '../jobs/miner-connection.ts'
import { type OrganicLimits, organicJob, presetOf } from './organic-job.ts'
import { acceptedUpdate, finalUpdate } from './status-updates.ts'

export interface DriveOrganicDeps {
  limits: OrganicLimits
  reconnect?: BackoffOptions | undefined
  hotkey: Hotkey
  db: Database
  clock: Clock
  log: Log
  /** Reports to the facilitator or command that requested the job. Never throws. */
  report(update: V0JobStatusUpdate): void
  /** Called with each state that the job reaches, once it is saved. */
  onMoved?(state: JobState): void
}

export type StoredOrganicJob = StoredJob & { request: FacilitatorJobRequest; deadline: Date }

/**
 * Drives a stored organic job to its end and reports its steps. Returns how it ended; undefined when another process
 * finalised it: then nothing is reported.
 *
 * @param isResumed whether an earlier process was driving it
 */
export async function driveOrganicJob(
  job: StoredOrganicJob,
  isResumed: boolean,
  deps: DriveOrganicDeps,
  signal: AbortSignal,
): Promise<JobResult | undefined> {
  const { reconnect, hotkey, db, clock, log, report, onMoved } = deps
  const { request, deadline, executorClass: name, minerHotkey, minerAddress } = job
  const { uuid } = request
  const jobMs = job.timeoutSeconds === null ? deps.limits.jobMs : job.timeoutSeconds * 1000
  const limits = { ...deps.limits, jobMs }
  const startedAt = clock.monotonic()
  const endsAt = startedAt + (deadline.getTime() - clock.now())
  await using connection = new MinerConnection({
    miner: { hotkey: minerHotkey, address: minerAddress },
    ...{ hotkey, clock, log, signal, maxFrameBytes: LARGE_FRAME_BYTES },
    ...(reconnect ? { reconnect } : {}),
  })
  await using journal = new Journal({ db, clock, log }, signal)
  // Opened before the manifest is awaited, so that messages that follow the manifest are not lost.
  using channel = connection.channel(uuid)
  const stored = name !== null && isExecutorClass(name) ? name : undefined
  const needsManifest = stored === undefined && job.offeredAt === null
  const manifest = needsManifest ? await awaitManifest(connection, { ...limits, endsAt }, clock, signal) : undefined
  const executorClass = stored ?? classFor(presetOf(request), manifest)
  const connectMs = connection.isConnected ? limits.connectMs : startedAt + limits.connectMs - clock.monotonic()
  const spec = {
    ...organicJob(request, { ...limits, connectMs }, endsAt, executorClass),
    // A miner that has sent a manifest is no v0 miner, and may receive an offer twice.
    ...(isResumed
      ? { resumed: { state: job.state as OpenState, repeatOffer: stored !== undefined || job.offeredAt === null } }
      : {}),
    onMoved: (state: JobState) => {
      if (state === 'ready') report(acceptedUpdate(uuid))
      onMoved?.(state)
    },
  }
  const result = await new JobDriver(spec, { channel, journal, clock, log }, signal).drive()
  if (result) report(finalUpdate(uuid, result, jobMs / 1000))
  return result
}
