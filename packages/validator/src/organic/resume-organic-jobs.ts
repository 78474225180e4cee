/** Resumes the facilitator's jobs that an earlier process of this validator left open, or did not report. */
import type { V0JobStatusUpdate } from '@horde/protocol/facilitator-validator'
import { isFinal } from '@horde/protocol/job-state'
import { type JobUuid, jobUuid } from '@horde/protocol/primitives'
import { unreportedJobs } from '../db/jobs.ts'
import { untilSaved } from '../db/journal.ts'
import { ABANDONED, abandonJobs } from '../jobs/transition.ts'
import { type DriveOrganicDeps, driveOrganicJob } from './drive-organic-job.ts'
import { acceptedUpdate, finalUpdate } from './status-updates.ts'

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
