import type { Chain } from '@horde/chain/chain'
import type { ExecutorClass } from '@horde/protocol/classes'
import { FIRST_STATE, isFinal } from '@horde/protocol/job-state'
import { uuidKey } from '@horde/protocol/primitives'
import type { FacilitatorJobRequest } from '@horde/protocol/v0/facilitator-validator'
import { findJob, type JobResult } from '../db/jobs.ts'
import type { JobSource } from '../db/schema.ts'
import { chooseMiners, type ServingMiner, UnknownMinerError } from '../jobs/miners/find-miners.ts'
import { openJobs } from '../jobs/transition.ts'
import { type DriveOrganicDeps, driveOrganicJob } from './drive-organic-job.ts'
import { acceptedUpdate, failedUpdate, finalUpdate } from './organic-job.ts'

export interface OrganicDeps extends DriveOrganicDeps {
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
  const { db, clock, limits, source, executorClass, onMoved, report } = deps
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
  return driveOrganicJob({ ...job, request, deadline: newJob.deadline }, false, deps, signal)
}

/** Returns why a request is refused before any miner is asked; undefined for one that can be run. */
function whyRefused({ env, docker_image, raw_script, args, ...urls }: FacilitatorJobRequest): string | undefined {
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
