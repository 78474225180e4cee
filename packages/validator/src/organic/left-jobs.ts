/** Users' jobs that an earlier process of this validator was driving for the facilitator when it was killed. */
import { isExecutorClass } from '@horde/protocol/classes'
import type { V0JobStatusUpdate } from '@horde/protocol/facilitator-validator'
import type { OpenState } from '@horde/protocol/job-state'
import { type JobUuid, jobUuid } from '@horde/protocol/primitives'
import { endLeftJob, type LeftOrganicRow, openOrganicJobs } from '../db/organic-jobs.ts'
import { untilSaved } from '../db/until-saved.ts'
import type { OrganicDeps } from '../run-organic-job.ts'
import { type DriveOrganicDeps, driveOrganicJob } from './drive-organic-job.ts'
import { acceptedUpdate, finalUpdate } from './status-updates.ts'

/** One of them: `run` takes it up, and reports it to its end. */
export interface LeftOrganicJob {
  uuid: JobUuid
  run(report: (update: V0JobStatusUpdate) => void, signal: AbortSignal): Promise<void>
}

type Deps = Omit<OrganicDeps, 'report'>

/** All of them. Nobody else drives any: call it before a job is begun. */
export async function leftOrganicJobs(deps: Deps, signal: AbortSignal): Promise<LeftOrganicJob[]> {
  const rows = await untilSaved(() => openOrganicJobs(deps.db, 'facilitator'), deps, signal)
  return rows.map(row => {
    // As it was asked for: its spelling goes back as it came.
    const uuid = row.request?.uuid ?? jobUuid.parse(row.uuid)
    return { uuid, run: (report, stopped) => takeUp(row, uuid, { ...deps, report }, stopped) }
  })
}

async function takeUp(row: LeftOrganicRow, uuid: JobUuid, deps: DriveOrganicDeps, signal: AbortSignal): Promise<void> {
  const { db, clock, log, report } = deps
  const { request, deadline, state } = row
  if (!request || !deadline || deadline.getTime() <= clock.now()) {
    await untilSaved(() => endLeftJob(db, row.uuid, new Date(clock.now())), deps, signal)
    return report(finalUpdate(uuid, { state: 'broken', reason: 'abandoned', word: null }))
  }
  log.warn({ jobUuid: uuid, state }, 'organic job taken up that was left open')
  // Whether it was told before is not known, and telling it twice does no harm.
  if (row.readyAt !== null) report(acceptedUpdate(uuid))
  const miner = { hotkey: row.minerHotkey, uid: row.minerUid, address: row.minerAddress }
  const jobMs = row.timeoutSeconds === null ? deps.limits.jobMs : row.timeoutSeconds * 1000
  const known = row.executorClass !== null && isExecutorClass(row.executorClass) ? row.executorClass : undefined
  const wasOffered = row.offeredAt !== null
  // What it has been offered needs no manifest, and whoever told one is no miner of 2024.
  const left = { state: state as OpenState, repeatOffer: known !== undefined || !wasOffered }
  const limits = { ...deps.limits, jobMs, ...(wasOffered ? { manifestMs: 0 } : {}) }
  await driveOrganicJob({ miner, request, deadline, left }, { ...deps, limits, executorClass: known }, signal)
}
