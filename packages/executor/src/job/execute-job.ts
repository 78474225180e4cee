/**
 * Takes one job from its offer to its delivered answer: prepare, ready, run, answer. Loaded with the offer, because the
 * clients that it opens take time and memory; an executor that prepares ahead loads it at once.
 */

import { connectDefaultEngine } from '@horde/engine/connect'
import type { Engine } from '@horde/engine/engine'
import type { Log } from '@horde/kit/log'
import { type Clock, systemClock } from '@horde/kit/time'
import type { JobResult } from '@horde/protocol/job/report'
import type { JobOffer } from '@horde/protocol/job/request'
import type { ExecutorSettings } from '../config.ts'
import { defaultStateFolder, openStateFolder, type StateFolder } from '../host/state-folder.ts'
import { ImageStore } from '../images/image-store.ts'
import { ImageError } from '../images/pull-image.ts'
import type { MinerConnection } from '../miner/miner-connection.ts'
import { type Identity, ownIdentity } from '../workspace/identity.ts'
import { removeOrphans } from '../workspace/orphans.ts'
import { broken } from './job-result.ts'
import { PreparedAhead } from './prepare-ahead.ts'
import { type Preparation, prepareJob } from './prepare-job.ts'
import { runJob } from './run-job.ts'

export interface ExecuteDeps {
  miner: MinerConnection
  settings: ExecutorSettings
  /** The signal that aborts when the executor should be ready; undefined: its miner named no limit. */
  startupEnd?: Promise<AbortSignal> | undefined
  log: Log
}

/** What a job needs of this host. */
interface JobDeps extends ExecuteDeps {
  engine: Engine
  images: ImageStore
  self: Identity
  state: StateFolder
  clock: Clock
  /** What was prepared before the offer; undefined when nothing was to be. */
  ahead: PreparedAhead | undefined
  /** Resolves when everything that killed executors left behind is removed, as far as possible. Never rejects. */
  orphansRemoved: Promise<void>
}

/**
 * Runs the offered job, then removes unused images if the disk is too full. Prepares ahead of the offer where the
 * settings say so. Rejects as `offered` does, after removing what was prepared ahead.
 *
 * @param signal ends the job; it also aborts when the miner is gone for good
 * @param stopping ends the removal of images: this process is asked to stop
 */
export async function executeJob(
  offered: Promise<JobOffer>,
  deps: ExecuteDeps,
  signal: AbortSignal,
  stopping: AbortSignal,
): Promise<void> {
  const { settings, log } = deps
  const engine = await connectDefaultEngine({ callMs: settings.ENGINE_CALL_SECONDS * 1_000 })
  const state = await openStateFolder(settings.STATE_FOLDER ?? defaultStateFolder(), log)
  const images = new ImageStore({ engine, settings, state, log })
  const host = { ...deps, engine, images, self: ownIdentity(), state, clock: systemClock }
  await using ahead = settings.PREPARE_AHEAD ? new PreparedAhead(host) : undefined
  const offer = await offered
  const started = performance.now()
  const jobLog = log.child({ jobUuid: offer.jobUuid })
  const orphansRemoved = (ahead?.sweep() ?? removeOrphans(engine, host.self, jobLog)).catch(err => {
    jobLog.warn({ err }, 'could not remove what killed executors left behind')
  })
  let dataFolder: string | undefined
  try {
    dataFolder = await answerJob(offer, { ...host, ahead, orphansRemoved, log: jobLog }, signal)
  } finally {
    await orphansRemoved
    jobLog.info({ ms: Math.round(performance.now() - started) }, 'job cleaned up')
  }
  // The miner has its answer, so this takes no job's time.
  await images.makeRoom(stopping, dataFolder)
}

/** Returns the folder of the engine's data; undefined when the job could not be prepared. */
async function answerJob(offer: JobOffer, deps: JobDeps, signal: AbortSignal): Promise<string | undefined> {
  const { miner, log } = deps
  if (offer.isStreaming) {
    log.warn('the miner offered a streaming job, which this executor does not run')
    await miner.sendAnswer(STREAMING, signal)
    return undefined
  }
  let preparation: Preparation
  const startupEnd = await deps.startupEnd
  try {
    preparation = await prepareJob(offer, deps, startupEnd ? AbortSignal.any([signal, startupEnd]) : signal)
  } catch (err) {
    signal.throwIfAborted()
    log.error({ err }, 'could not prepare the job')
    await miner.sendAnswer(startupEnd?.aborted ? TOO_LATE : notPrepared(err), signal)
    return undefined
  }
  await using _ = preparation
  // Containers of killed executors may still hold the GPUs that this job needs.
  await deps.orphansRemoved
  signal.throwIfAborted()
  const result = await runJob(offer, { ...deps, preparation }, signal)
  const removed = preparation[Symbol.asyncDispose]()
  await miner.sendAnswer(result, signal)
  await removed
  return preparation.dataFolder
}

const STREAMING = broken({
  reason: 'streaming-failed',
  stage: 'streaming-startup',
  message: 'This executor does not run streaming jobs.',
  cause: null,
})

const TOO_LATE = broken({
  reason: 'generic-error',
  stage: 'executor-startup',
  message: 'The executor was not ready within the time that its miner allows.',
  cause: null,
})

/** The reason of an image's failure is a sentence for users; any other error may hold what concerns this host alone. */
function notPrepared(error: unknown): JobResult {
  const message = error instanceof ImageError ? error.message : 'The executor could not prepare the job.'
  const cause = error instanceof Error ? error.name : null
  return broken({ reason: 'generic-error', stage: 'executor-startup', message, cause })
}
