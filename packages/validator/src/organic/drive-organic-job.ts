/** Drives a user's job on its miner: a new one, or one that an earlier process left open or did not report. */
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { BackoffOptions } from '@horde/kit/reconnect'
import type { Clock } from '@horde/kit/time'
import { isExecutorClass } from '@horde/protocol/classes'
import { LARGE_FRAME_BYTES } from '@horde/protocol/frame'
import { isFinal, type JobState, type OpenState } from '@horde/protocol/job-state'
import { type JobUuid, jobUuid } from '@horde/protocol/primitives'
import type { FacilitatorJobRequest, V0JobStatusUpdate } from '@horde/protocol/v0/facilitator-validator'
import { type JobResult, type StoredJob, unreportedJobs } from '../db/jobs.ts'
import { Journal, untilSaved } from '../db/journal.ts'
import { JobDriver } from '../jobs/job-driver.ts'
import { MinerConnection, type MinerConnectionOptions } from '../jobs/miner-connection.ts'
import { awaitManifest, classFor } from '../jobs/miners/manifest.ts'
import { ABANDONED, abandonJobs } from '../jobs/transition.ts'
import { acceptedUpdate, finalUpdate, type OrganicLimits, organicJob, presetOf } from './organic-job.ts'

export interface DriveOrganicDeps {
  limits: OrganicLimits
  reconnect?: BackoffOptions | undefined
  hotkey: Hotkey
  /** What is known of the miners' dialects. */
  dialects: MinerConnectionOptions['dialects']
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
  const { reconnect, hotkey, dialects, db, clock, log, report, onMoved } = deps
  const { request, deadline, executorClass: name, minerHotkey, minerAddress } = job
  const { uuid } = request
  const jobMs = job.timeoutSeconds === null ? deps.limits.jobMs : job.timeoutSeconds * 1000
  const limits = { ...deps.limits, jobMs }
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
      ? {
          resumed: {
            state: job.state as OpenState,
            repeatOffer: stored !== undefined || job.offeredAt === null,
            isOffered: job.offeredAt !== null,
          },
        }
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

/** How long after its end a job is still reported, in ms. */
const REPORT_WITHIN_MS = 86_400_000

export interface ResumableJob {
  uuid: JobUuid
  /** Drives it to its end, and reports it. */
  run(report: (update: V0JobStatusUpdate) => void, signal: AbortSignal): Promise<unknown>
}

type Row = Awaited<ReturnType<typeof unreportedJobs>>[number]
type Deps = Omit<DriveOrganicDeps, 'report'>

/** Returns the jobs to resume. Call it before the first new job is started, or that one would be among them. */
export async function resumableJobs(deps: Deps, signal: AbortSignal): Promise<ResumableJob[]> {
  const endedSince = new Date(deps.clock.now() - REPORT_WITHIN_MS)
  const rows = await untilSaved(() => unreportedJobs(deps.db, 'facilitator', endedSince), deps, signal)
  return rows.map(row => {
    // The request has the uuid as the facilitator spelled it.
    const uuid = row.request?.uuid ?? jobUuid.parse(row.uuid)
    return { uuid, run: (report, stopped) => resume(row, uuid, { ...deps, report }, stopped) }
  })
}

async function resume(row: Row, uuid: JobUuid, deps: DriveOrganicDeps, signal: AbortSignal): Promise<void> {
  const { db, clock, log, report } = deps
  const { request, deadline, state, timeoutSeconds } = row
  if (isFinal(state)) return report(finalUpdate(uuid, { ...row, state }, timeoutSeconds))
  if (!request || !deadline || deadline.getTime() <= clock.now()) {
    const abandon = () => abandonJobs(db, [{ uuid: row.uuid, state }], new Date(clock.now()), log)
    const abandoned = await untilSaved(abandon, deps, signal)
    if (abandoned > 0) report(finalUpdate(uuid, ABANDONED, timeoutSeconds))
    return
  }
  log.warn({ jobUuid: uuid, state }, 'organic job resumed')
  // It may have been reported before. Reporting it twice does no harm.
  if (row.readyAt !== null) report(acceptedUpdate(uuid))
  await driveOrganicJob({ ...row, request, deadline }, true, deps, signal)
}
