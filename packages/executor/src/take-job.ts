/**
 * Opens what a job needs on this host. Loaded with the offer: an executor that still waits for one has none of it, unless
 * it is to prepare ahead.
 */

import { connectDefaultEngine } from '@horde/engine/connect'
import type { Log } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import type { V0PrepareJobRequest } from '@horde/protocol/miner-executor'
import type { ExecutorSettings } from './config.ts'
import { executeJob } from './execute-job.ts'
import { defaultStateFolder, openStateFolder } from './host/state-folder.ts'
import { ImageStore } from './images/image-store.ts'
import type { MinerLink } from './miner-link.ts'
import { PreparedAhead } from './prepare-ahead.ts'
import type { Stages } from './stages.ts'
import { ownIdentity } from './workspace/identity.ts'

export interface TakeJobDeps {
  miner: MinerLink
  settings: ExecutorSettings
  stages: Stages
  log: Log
}

/**
 * Takes a job to its delivered answer, and makes room on the host's disk after it. Until there is an offer what can be done
 * without it is done, where the settings say so; when there will be none that is removed, and this rejects like `offered`.
 *
 * @param signal ends the job; also when the miner is out of touch for good
 * @param stopping ends the rest: this process is asked to stop
 */
export async function takeJob(
  offered: Promise<V0PrepareJobRequest>,
  deps: TakeJobDeps,
  signal: AbortSignal,
  stopping: AbortSignal,
): Promise<void> {
  const { settings, log } = deps
  const engine = await connectDefaultEngine({ callMs: settings.ENGINE_CALL_SECONDS * 1_000 })
  const state = await openStateFolder(settings.STATE_FOLDER ?? defaultStateFolder(), log)
  const images = new ImageStore({ engine, settings, state, log })
  const host = { ...deps, engine, images, self: ownIdentity(), state, clock: systemClock }
  await using ahead = settings.PREPARE_AHEAD ? new PreparedAhead(host) : undefined
  const dataFolder = await executeJob(await offered, { ...host, ahead }, signal)
  // The miner has its answer: this is nobody's time.
  await images.makeRoom(stopping, dataFolder)
}
