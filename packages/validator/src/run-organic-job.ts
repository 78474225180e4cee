import type { Chain } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { BackoffOptions } from '@horde/kit/reconnect'
import type { Clock } from '@horde/kit/time'
import type { ExecutorClass } from '@horde/protocol/classes'
import type { FacilitatorJobRequest, V0JobStatusUpdate } from '@horde/protocol/facilitator-validator'
import { uuidKey } from '@horde/protocol/primitives'
import { insertOrganicJob } from './db/jobs.ts'
import { findJob } from './db/organic-jobs.ts'
import type { JobSource } from './db/schema.ts'
import { chooseMiners, UnknownMinerError } from './miner/choose.ts'
import type { ServingMiner } from './miner/serving.ts'
import { driveOrganicJob } from './organic/drive-organic-job.ts'
import type { OrganicLimits } from './organic/organic-job.ts'
import { failedUpdate, updateOfOutcome } from './organic/status-updates.ts'
import { whyNotRunnable } from './organic/why-not-runnable.ts'

export interface OrganicDeps {
  netuid: number
  allowPrivate: boolean
  limits: OrganicLimits
  reconnect?: BackoffOptions | undefined
  /** Who asks for the job. */
  source: JobSource
  /** Where the miner is. Without it the chain says that. */
  miner?: ServingMiner | undefined
  /** The class of the executor. Without it one of the miner's that suits the job. */
  executorClass?: ExecutorClass | undefined
  chain: Pick<Chain, 'metagraph'>
  hotkey: Hotkey
  db: Database
  clock: Clock
  log: Log
  /** Tells whoever asked for it; never rejects. */
  report(update: V0JobStatusUpdate): void
}

/**
 * A user's job on the miner that it names. Whatever happens, whoever asked is told how it ended. A uuid that was run before
 * is not run again: what became of it is told again.
 */
export async function runOrganicJob(
  request: FacilitatorJobRequest,
  deps: OrganicDeps,
  signal: AbortSignal,
): Promise<void> {
  const { report, log } = deps
  try {
    const known = await findJob(deps.db, request.uuid)
    if (known) return report(updateOfOutcome(request.uuid, known))
    const why = whyNotRunnable(request)
    if (why !== undefined) return report(failedUpdate(request.uuid, why))
    const miner = deps.miner ?? (await findMiner(request.miner_hotkey, deps))
    if (typeof miner === 'string') return report(failedUpdate(request.uuid, miner))
    await runOn(miner, request, deps, signal)
  } catch (err) {
    log.error({ err, jobUuid: request.uuid }, 'organic job could not be run')
    report(failedUpdate(request.uuid, 'The validator could not run the job.'))
  }
}

async function runOn(
  miner: ServingMiner,
  request: FacilitatorJobRequest,
  deps: OrganicDeps,
  signal: AbortSignal,
): Promise<void> {
  const { db, clock, limits, source, report } = deps
  const now = clock.now()
  const deadline = new Date(now + limits.jobMs)
  const row = {
    ...{ uuid: uuidKey(request.uuid), minerHotkey: miner.hotkey, minerUid: miner.uid, minerAddress: miner.address },
    ...{ request, source, deadline, timeoutSeconds: limits.jobMs / 1000 },
  }
  if (!(await insertOrganicJob(db, row, new Date(now)))) {
    return report(failedUpdate(request.uuid, 'A job with this uuid was run already.'))
  }
  await driveOrganicJob({ miner, request, deadline }, deps, signal)
}

/** The miner, or why there is none. */
async function findMiner(hotkey: string, { chain, netuid, allowPrivate }: OrganicDeps): Promise<ServingMiner | string> {
  try {
    const [miner] = chooseMiners([hotkey], await chain.metagraph(netuid), allowPrivate)
    return miner ?? 'The miner is not registered on the subnet.'
  } catch (error) {
    if (!(error instanceof UnknownMinerError)) throw error
    return `The miner cannot be dialled: ${error.message}.`
  }
}
