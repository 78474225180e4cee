import type { FacilitatorJobRequest } from '@horde/protocol/facilitator-validator'
import { LARGE_FRAME_BYTES } from '@horde/protocol/frame'
import { Journal } from '../db/journal.ts'
import { driveJob } from '../drive-job.ts'
import type { LeftJob } from '../job/job-to-drive.ts'
import { MinerLink } from '../miner/link.ts'
import type { ServingMiner } from '../miner/serving.ts'
import type { OrganicDeps } from '../run-organic-job.ts'
import { organicJob } from './organic-job.ts'
import { acceptedUpdate, finalUpdate } from './status-updates.ts'

export interface OrganicCourse {
  miner: ServingMiner
  request: FacilitatorJobRequest
  deadline: Date
  /** Given when it is taken up after a restart. */
  left?: LeftJob
}

export type DriveOrganicDeps = Pick<
  OrganicDeps,
  'limits' | 'reconnect' | 'executorClass' | 'hotkey' | 'db' | 'clock' | 'log' | 'report'
>

/** Drives a user's job, whose row is there already, to its end, and reports its steps. */
export async function driveOrganicJob(
  { miner, request, deadline, left }: OrganicCourse,
  { limits, reconnect, executorClass, hotkey, db, clock, log, report }: DriveOrganicDeps,
  signal: AbortSignal,
): Promise<void> {
  await using link = new MinerLink({
    ...{ miner, hotkey, clock, log, signal },
    maxFrameBytes: LARGE_FRAME_BYTES,
    ...(reconnect ? { reconnect } : {}),
  })
  await using journal = new Journal({ db, clock, log }, signal)
  using talk = link.converse(request.uuid)
  const endsAt = clock.monotonic() + (deadline.getTime() - clock.now())
  const job = organicJob(request, limits, endsAt, executorClass)
  const onReady = () => report(acceptedUpdate(request.uuid))
  const end = await driveJob({ ...job, onReady, left }, { talk, journal, clock, log }, signal)
  report(finalUpdate(request.uuid, end, limits.jobMs / 1000))
}
