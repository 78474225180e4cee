/**
 * Takes one job from its offer to its delivered answer: prepare, ready, run, answer. Loaded with the offer, because the
 * clients that it opens take time and memory; an executor that prepares ahead loads it at once.
 */

import { connectDefaultEngine } from '@horde/engine/connect'
import type { Engine } from '@horde/engine/engine'
import type { Log } from '@horde/kit/log'
import { type Clock, systemClock } from '@horde/kit/time'
import { largestFrameFor } from '@horde/protocol/frame'
import type { V0FailedRequest, V0FinishedRequest, V0PrepareJobRequest } from '@horde/protocol/miner-executor'
import { fitFrame } from '@horde/protocol/shorten'
import type { ExecutorSettings } from '../config.ts'
import { defaultStateFolder, openStateFolder, type StateFolder } from '../host/state-folder.ts'
import { ImageStore } from '../images/image-store.ts'
import type { MinerConnection } from '../miner/miner-connection.ts'
import { type Identity, ownIdentity } from '../workspace/identity.ts'
import { removeOrphans } from '../workspace/orphans.ts'
import { PreparedAhead } from './prepare-ahead.ts'
import { type Preparation, prepareJob } from './prepare-job.ts'
import { type JobResult, runJob } from './run-job.ts'

export interface ExecuteDeps {
  miner: MinerConnection
  settings: ExecutorSettings
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
  offered: Promise<V0PrepareJobRequest>,
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
  const jobLog = log.child({ jobUuid: offer.job_uuid })
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
async function answerJob(offer: V0PrepareJobRequest, deps: JobDeps, signal: AbortSignal): Promise<string | undefined> {
  const { miner, log, settings } = deps
  const { job_uuid } = offer
  let preparation: Preparation
  try {
    preparation = await prepareJob(offer, deps, signal)
  } catch (err) {
    signal.throwIfAborted()
    log.error({ err }, 'could not prepare the job')
    await miner.sendAnswer({ message_type: 'V0FailedToPrepare', job_uuid }, signal)
    return undefined
  }
  await using _ = preparation
  // Containers of killed executors may still hold the GPUs that this job needs.
  await deps.orphansRemoved
  signal.throwIfAborted()
  await miner.sendReady(job_uuid)
  const work = await miner.receiveWork(settings.WORK_TIMEOUT_SECONDS * 1_000, signal)
  const result = await runJob(work, { ...deps, preparation }, signal).catch(error => hostFailure(error, log, signal))
  const removed = preparation[Symbol.asyncDispose]()
  await miner.sendAnswer(answerMessage(offer, result), signal)
  await removed
  return preparation.dataFolder
}

/** Returns the result of a job that the host failed to run to its end. */
function hostFailure(err: unknown, log: Log, signal: AbortSignal): JobResult {
  signal.throwIfAborted()
  log.error({ err }, 'the host failed while the job ran')
  const stderr = 'The executor could not run the job to its end: its container engine or its disk failed.\n'
  return { exitStatus: null, timedOut: false, succeeded: false, stdout: '', stderr }
}

/** Converts the result to the message for the miner, and cuts its texts to the size that the miner accepts. */
function answerMessage(
  { job_uuid, capabilities }: V0PrepareJobRequest,
  result: JobResult,
): V0FinishedRequest | V0FailedRequest {
  const texts = { job_uuid, docker_process_stdout: result.stdout, docker_process_stderr: result.stderr }
  const message: V0FinishedRequest | V0FailedRequest = result.succeeded
    ? { message_type: 'V0FinishedRequest', ...texts }
    : {
        message_type: 'V0FailedRequest',
        docker_process_exit_status: result.exitStatus,
        timeout: result.timedOut,
        ...texts,
      }
  return fitFrame(message, largestFrameFor(capabilities))
}
