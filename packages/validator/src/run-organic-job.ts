import type { Chain } from '@horde/chain/chain'
import { isServing, neuronOf } from '@horde/chain/metagraph'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { isPublicAddress } from '@horde/kit/public-address'
import type { BackoffOptions } from '@horde/kit/reconnect'
import type { Clock } from '@horde/kit/time'
import type { FacilitatorJobRequest, V0JobStatusUpdate } from '@horde/protocol/facilitator-validator'
import { LARGE_FRAME_BYTES } from '@horde/protocol/frame'
import { uuidKey } from '@horde/protocol/primitives'
import { insertOrganicJob } from './db/jobs.ts'
import { Journal } from './db/journal.ts'
import { driveJob } from './drive-job.ts'
import { MinerLink } from './miner/link.ts'
import { addressOf, type ServingMiner } from './miner/serving.ts'
import { type OrganicLimits, organicJob } from './organic/organic-job.ts'
import { acceptedUpdate, failedUpdate, finalUpdate } from './organic/status-updates.ts'

export interface OrganicDeps {
  netuid: number
  allowPrivate: boolean
  limits: OrganicLimits
  reconnect?: BackoffOptions
  chain: Pick<Chain, 'metagraph'>
  hotkey: Hotkey
  db: Database
  clock: Clock
  log: Log
  /** Tells the facilitator; never rejects. */
  report(update: V0JobStatusUpdate): void
}

/** A user's job on the miner that it names. Whatever happens, the facilitator is told how it ended. */
export async function runOrganicJob(
  request: FacilitatorJobRequest,
  deps: OrganicDeps,
  signal: AbortSignal,
): Promise<void> {
  const { report, log } = deps
  try {
    const miner = await findMiner(request.miner_hotkey, deps)
    if (typeof miner === 'string') return report(failedUpdate(request.uuid, miner))
    // What would be dropped silently is refused aloud: V0's link to the miner has no place for it.
    if (Object.keys(request.env).length > 0) {
      return report(failedUpdate(request.uuid, 'Environment variables cannot be passed on to miners.'))
    }
    report(await runOn(miner, request, deps, signal))
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
): Promise<V0JobStatusUpdate> {
  const { db, clock, log, hotkey } = deps
  const row = {
    uuid: uuidKey(request.uuid),
    minerHotkey: miner.hotkey,
    minerUid: miner.uid,
    minerAddress: miner.address,
  }
  if (!(await insertOrganicJob(db, row, new Date(clock.now())))) {
    return failedUpdate(request.uuid, 'A job with this uuid was run already.')
  }
  await using link = new MinerLink({
    ...{ miner, hotkey, clock, log, signal },
    maxFrameBytes: LARGE_FRAME_BYTES,
    ...(deps.reconnect ? { reconnect: deps.reconnect } : {}),
  })
  await using journal = new Journal({ db, clock, log }, signal)
  using talk = link.converse(request.uuid)
  const job = organicJob(request, deps.limits, clock.monotonic() + deps.limits.jobMs)
  const onReady = () => deps.report(acceptedUpdate(request.uuid))
  return finalUpdate(request.uuid, await driveJob({ ...job, onReady }, { talk, journal, clock, log }, signal))
}

/** The miner, or why there is none. */
async function findMiner(hotkey: string, { chain, netuid, allowPrivate }: OrganicDeps): Promise<ServingMiner | string> {
  const neuron = neuronOf(await chain.metagraph(netuid), hotkey)
  if (!neuron) return 'The miner is not registered on the subnet.'
  if (!isServing(neuron)) return 'The miner has announced no address.'
  if (!allowPrivate && !isPublicAddress(neuron.axon.ip)) return 'The miner has announced a private address.'
  return { uid: neuron.uid, hotkey, address: addressOf(neuron.axon.ip, neuron.axon.port) }
}
