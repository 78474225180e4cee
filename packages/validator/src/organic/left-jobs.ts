/** Users' jobs that an earlier process of this validator was driving for the facilitator when it was killed, or had not told. */
import { isExecutorClass } from '@horde/protocol/classes'
import type { V0JobStatusUpdate } from '@horde/protocol/facilitator-validator'
import { isFinal } from '@horde/protocol/job-state'
import { type JobUuid, jobUuid } from '@horde/protocol/primitives'
import { endLeftJob, type LeftOrganicRow, untoldJobs } from '../db/organic-jobs.ts'
import { untilSaved } from '../db/until-saved.ts'
import type { OrganicDeps } from '../run-organic-job.ts'
import { type DriveOrganicDeps, driveOrganicJob } from './drive-organic-job.ts'
import { acceptedUpdate, finalUpdate, updateOfOutcome } from './status-updates.ts'

/** How long after its end a job is still told of, in ms. */
const TELL_WITHIN_MS = 86_400_000

/** One of them: `run` takes it up, and reports it to its end. */
export interface LeftOrganicJob {
  uuid: JobUuid
  run(report: (update: V0JobStatusUpdate) => void, signal: AbortSignal): Promise<void>
}

type Deps = Omit<OrganicDeps, 'report'>

/** All of them. Nobody else drives any: call it before a job is begun. */
export async function leftOrganicJobs(deps: Deps, signal: AbortSignal): Promise<LeftOrganicJob[]> {
  const endedSince = new Date(deps.clock.now() - TELL_WITHIN_MS)
  const rows = await untilSaved(() => untoldJobs(deps.db, 'facilitator', endedSince), deps, signal)
  return rows.map(row => {
    // As it was asked for: its spelling goes back as it came.
    const uuid = row.request?.uuid ?? jobUuid.parse(row.uuid)
    return { uuid, run: (report, stopped) => takeUp(row, uuid, { ...deps, report }, stopped) }
  })
}

async function takeUp(row: LeftOrganicRow, uuid: JobUuid, deps: DriveOrganicDeps, signal: AbortSignal): Promise<void> {
  const { db, clock, log, report } = deps
  const { request, deadline, state } = row
  if (isFinal(state)) return report(updateOfOutcome(uuid, row))
  if (!request || !deadline || deadline.getTime() <= clock.now()) {
    await untilSaved(() => endLeftJob(db, row.uuid, new Date(clock.now())), deps, signal)
    return report(finalUpdate(uuid, { state: 'broken', reason: 'abandoned', word: null }, row.timeoutSeconds))
  }
  log.warn({ jobUuid: uuid, state }, 'organic job taken up that was left open')
  // Whether it was told before is not known, and telling it twice does no harm.
  if (row.readyAt !== null) report(acceptedUpdate(uuid))
  const miner = { hotkey: row.minerHotkey, uid: row.minerUid, address: row.minerAddress }
  const jobMs = row.timeoutSeconds === null ? deps.limits.jobMs : row.timeoutSeconds * 1000
  const known = row.executorClass !== null && isExecutorClass(row.executorClass) ? row.executorClass : undefined
  const wasOffered = row.offeredAt !== null
  // What it has been offered needs no manifest, and whoever told one is no miner of 2024.
  const left = { state, repeatOffer: known !== undefined || !wasOffered }
  const limits = { ...deps.limits, jobMs, ...(wasOffered ? { manifestMs: 0 } : {}) }
  await driveOrganicJob({ miner, request, deadline, left }, { ...deps, limits, executorClass: known }, signal)
}
