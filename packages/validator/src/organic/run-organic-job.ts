/** Runs users' jobs of v0, which name their miner: new ones, and those that an earlier process left open. */
import type { Chain } from '@horde/chain/chain'
import { type ExecutorClass, isExecutorClass } from '@horde/protocol/classes'
import { FIRST_STATE, isFinal, type JobState } from '@horde/protocol/job-state'
import { type JobUuid, jobUuid, uuidKey } from '@horde/protocol/primitives'
import type { FacilitatorJobRequest, V0JobStatusUpdate } from '@horde/protocol/v0/facilitator-validator'
import { findJob, type JobResult, type StoredJob, unreportedJobs } from '../db/jobs.ts'
import { untilSaved } from '../db/journal.ts'
import type { JobSource } from '../db/schema.ts'
import { chooseMiners, type ServingMiner, UnknownMinerError } from '../jobs/miners/find-miners.ts'
import { ABANDONED, abandonJobs, openJobs } from '../jobs/transition.ts'
import { acceptedUpdate, failedUpdate, finalUpdate, userJobOf } from './dialects/v0.ts'
import { type DriveOrganicDeps, driveOrganicJob } from './drive-organic-job.ts'
import type { OrganicLimits } from './organic-job.ts'

interface ReportingDeps extends DriveOrganicDeps {
  limits: OrganicLimits
  /** Reports to the facilitator or command that requested the job. Never throws. */
  report(update: V0JobStatusUpdate): void
  /** Called with each state that the job reaches, once it is saved. */
  onMoved?(state: JobState): void
}

export interface OrganicDeps extends ReportingDeps {
  netuid: number
  allowPrivate: boolean
  /** Who asks for the job. */
  source: JobSource
  /** Where the miner is. Default: looked up on the chain. */
  miner?: ServingMiner | undefined
  /** The class of the executor. Default: one that the miner lists and that suits the job. */
  executorClass?: ExecutorClass | undefined
  chain: Pick<Chain, 'metagraph'>
}

/**
 * Runs a user's job on the miner that it names, and reports how it ended, whatever happens. A uuid that was run before
 * is not run again: its result is reported again. Returns the result of a job that was driven to its end. Never
 * rejects.
 */
export async function runOrganicJob(
  request: FacilitatorJobRequest,
  deps: OrganicDeps,
  signal: AbortSignal,
): Promise<JobResult | undefined> {
  const { report, log } = deps
  try {
    const known = await findJob(deps.db, request.uuid)
    if (known) return void report(updateOfRow(request.uuid, known))
    const refusal = whyRefused(request)
    if (refusal !== undefined) return void report(failedUpdate(request.uuid, refusal))
    const miner = deps.miner ?? (await findMiner(request.miner_hotkey, deps))
    if (typeof miner === 'string') return void report(failedUpdate(request.uuid, miner))
    return await runOn(miner, request, deps, signal)
  } catch (err) {
    log.error({ err, jobUuid: request.uuid }, 'organic job could not be run')
    report(failedUpdate(request.uuid, 'The validator could not run the job.'))
    return undefined
  }
}

async function runOn(
  miner: ServingMiner,
  request: FacilitatorJobRequest,
  deps: OrganicDeps,
  signal: AbortSignal,
): Promise<JobResult | undefined> {
  const { db, clock, limits, source, onMoved, report } = deps
  const executorClass = deps.executorClass ?? userJobOf(request, limits.jobMs).executorClass
  const now = clock.now()
  const newJob = {
    ...{ uuid: uuidKey(request.uuid), minerHotkey: miner.hotkey, minerUid: miner.uid, minerAddress: miner.address },
    ...{ request, source, deadline: new Date(now + limits.jobMs), timeoutSeconds: limits.jobMs / 1000 },
    ...(executorClass ? { executorClass } : {}),
  }
  const { opened, added } = await openJobs(db, [newJob], { batchId: null, at: new Date(now) })
  const [job] = opened
  if (!job || added === 0) return void report(failedUpdate(request.uuid, 'A job with this uuid was run already.'))
  onMoved?.(FIRST_STATE)
  return drive({ ...job, request, deadline: newJob.deadline }, false, deps, signal)
}

type StoredOrganicJob = StoredJob & { request: FacilitatorJobRequest; deadline: Date }

/** Drives a stored job to its end and reports its steps. */
async function drive(
  job: StoredOrganicJob,
  isResumed: boolean,
  deps: ReportingDeps,
  signal: AbortSignal,
): Promise<JobResult | undefined> {
  const { report, onMoved } = deps
  const { request, deadline } = job
  const jobMs = job.timeoutSeconds === null ? deps.limits.jobMs : job.timeoutSeconds * 1000
  const how = {
    ...{ asked: userJobOf(request, jobMs), limits: { ...deps.limits, jobMs }, deadline, isResumed },
    onMoved: (state: JobState) => {
      if (state === 'ready') report(acceptedUpdate(request.uuid))
      onMoved?.(state)
    },
  }
  const result = await driveOrganicJob(job, how, deps, signal)
  if (result) report(finalUpdate(request.uuid, result, jobMs / 1000))
  return result
}

/** How long after its end a job is still reported, in ms. */
export const REPORT_WITHIN_MS = 86_400_000

/** A job of an earlier process, whose updates have the type U. */
export interface ResumableJob<U> {
  uuid: string
  /** Drives it to its end, and reports it. */
  run(report: (update: U) => void, signal: AbortSignal): Promise<unknown>
}

type Row = Awaited<ReturnType<typeof unreportedJobs>>[number]
type ResumeDeps = Omit<ReportingDeps, 'report'>

/** Returns the jobs to resume. Call it before the first new job is started, or that one would be among them. */
export async function resumableJobs(deps: ResumeDeps, signal: AbortSignal): Promise<ResumableJob<V0JobStatusUpdate>[]> {
  const endedSince = new Date(deps.clock.now() - REPORT_WITHIN_MS)
  const rows = await untilSaved(() => unreportedJobs(deps.db, 'facilitator', endedSince), deps, signal)
  return rows.map(row => {
    // The request has the uuid as the facilitator spelled it.
    const uuid = row.request?.uuid ?? jobUuid.parse(row.uuid)
    return { uuid, run: (report, stopped) => resume(row, uuid, { ...deps, report }, stopped) }
  })
}

async function resume(row: Row, uuid: JobUuid, deps: ReportingDeps, signal: AbortSignal): Promise<void> {
  const { db, clock, log, report } = deps
  const { request, deadline, state, timeoutSeconds } = row
  if (isFinal(state)) return report(finalUpdate(uuid, { ...row, state }, timeoutSeconds))
  if (!request || !deadline || deadline.getTime() <= clock.now()) {
    const abandon = () => abandonJobs(db, [{ uuid: row.uuid, state }], new Date(clock.now()), log)
    const abandoned = await untilSaved(abandon, deps, signal)
    if (abandoned > 0) return report(finalUpdate(uuid, ABANDONED, timeoutSeconds))
    // The sweep of overdue jobs has ended it since it was read, and reports nothing.
    const ended = await untilSaved(() => findJob(db, row.uuid), deps, signal)
    if (ended && isFinal(ended.state)) report(updateOfRow(uuid, ended))
    return
  }
  log.warn({ jobUuid: uuid, state }, 'organic job resumed')
  // It may have been reported before. Reporting it twice does no harm.
  if (row.readyAt !== null) report(acceptedUpdate(uuid))
  await drive({ ...row, request, deadline }, true, deps, signal)
}

/** Returns why a request is refused before any miner is asked; undefined for one that can be run. */
function whyRefused(request: FacilitatorJobRequest): string | undefined {
  const { env, docker_image, raw_script, args, executor_class, ...urls } = request
  if (executor_class && !isExecutorClass(executor_class)) return 'The executor class is not known.'
  // The V0 dialect has no field for variables. Dropping them silently would run another job than the user asked for.
  if (Object.keys(env).length > 0) return 'Environment variables cannot be passed on to miners.'
  const texts = [docker_image, raw_script, ...args, urls.input_url, urls.output_url]
  if (texts.some(text => text.includes('\0') || !text.isWellFormed())) {
    return 'The request has characters that no program can be given: NUL, or halves of others.'
  }
  return undefined
}

/** Returns the miner, or why there is none. */
async function findMiner(hotkey: string, { chain, netuid, allowPrivate }: OrganicDeps): Promise<ServingMiner | string> {
  try {
    const [miner] = chooseMiners([hotkey], await chain.metagraph(netuid), allowPrivate)
    return miner ?? 'The miner is not registered on the subnet.'
  } catch (error) {
    if (!(error instanceof UnknownMinerError)) throw error
    return `The miner cannot be dialled: ${error.message}.`
  }
}

/** Returns the update for a job that was asked for before, by its row. */
function updateOfRow(uuid: FacilitatorJobRequest['uuid'], row: NonNullable<Awaited<ReturnType<typeof findJob>>>) {
  const { state, readyAt, timeoutSeconds } = row
  if (isFinal(state)) return finalUpdate(uuid, { ...row, state }, timeoutSeconds)
  if (readyAt !== null) return acceptedUpdate(uuid)
  return failedUpdate(uuid, 'Another process is running a job with this uuid.')
}
