/** The straight walk of one job: prepare, ready, run, report. Closing what it made comes last, whatever the end. */

import type { Engine } from '@horde/engine/engine'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { largestFrameFor } from '@horde/protocol/frame'
import type { V0FailedRequest, V0FinishedRequest, V0PrepareJobRequest } from '@horde/protocol/miner-executor'
import { fitFrame } from '@horde/protocol/shorten'
import type { ExecutorSettings } from './config.ts'
import type { StateFolder } from './host/state-folder.ts'
import type { ImageStore } from './images/image-store.ts'
import type { MinerLink } from './miner-link.ts'
import type { PreparedAhead } from './prepare-ahead.ts'
import { type Preparation, prepareJob } from './prepare-job.ts'
import { type Outcome, runJob } from './run-job.ts'
import type { Stages } from './stages.ts'
import type { Identity } from './workspace/identity.ts'
import { removeOrphans } from './workspace/orphans.ts'

export interface ExecuteDeps {
  miner: MinerLink
  engine: Engine
  images: ImageStore
  settings: ExecutorSettings
  self: Identity
  state: StateFolder
  stages: Stages
  /** What was done before the offer; undefined: nothing was to be. */
  ahead?: PreparedAhead | undefined
  clock: Clock
  log: Log
}

/**
 * Takes one job from its offer to its answer. Gives where the engine keeps its things, when the job came so far that this is
 * known. Rejects when the signal aborts before the answer was delivered.
 */
export async function executeJob(
  offer: V0PrepareJobRequest,
  deps: ExecuteDeps,
  signal: AbortSignal,
): Promise<string | undefined> {
  const log = deps.log.child({ jobUuid: offer.job_uuid })
  const started = performance.now()
  const sweep = (deps.ahead?.sweep() ?? removeOrphans(deps.engine, deps.self, log)).catch(err => {
    log.warn({ err }, 'could not look for what killed executors left behind')
  })
  try {
    return await walk(offer, { ...deps, log, sweep }, signal)
  } finally {
    await sweep
    log.info({ ms: Math.round(performance.now() - started) }, 'job done with')
  }
}

/** `sweep`: resolves when what killed executors left is removed, as far as it can be. */
type WalkDeps = ExecuteDeps & { sweep: Promise<void> }

async function walk(offer: V0PrepareJobRequest, deps: WalkDeps, signal: AbortSignal): Promise<string | undefined> {
  const { miner, log, settings, stages } = deps
  const { job_uuid } = offer
  stages.enter('preparing')
  let preparation: Preparation
  try {
    preparation = await prepareJob(offer, deps, signal)
  } catch (err) {
    signal.throwIfAborted()
    log.error({ err }, 'could not prepare the job')
    stages.answering('not_prepared')
    await miner.answer({ message_type: 'V0FailedToPrepare', job_uuid }, signal)
    return undefined
  }
  await using _ = preparation
  // What was left may have the GPUs that this job is to have.
  await deps.sweep
  signal.throwIfAborted()
  await miner.sayReady(job_uuid)
  stages.enter('ready')
  log.info('ready')
  const work = await miner.hearWork(settings.WORK_TIMEOUT_SECONDS * 1_000, signal)
  stages.enter('running')
  log.info('running')
  const outcome = await runJob(work, { ...deps, preparation }, signal).catch(error => failureOfHost(error, log, signal))
  stages.answering(outcome.succeeded ? 'finished' : 'failed')
  const removed = preparation[Symbol.asyncDispose]()
  await miner.answer(report(offer, outcome), signal)
  await removed
  return preparation.dataFolder
}

/** The host's own trouble in the middle of a job; its miner is told so in place of a result. */
function failureOfHost(err: unknown, log: Log, signal: AbortSignal): Outcome {
  signal.throwIfAborted()
  log.error({ err }, 'the job could not be run to its end')
  const stderr = 'The executor could not run the job to its end: trouble with its container engine or its disk.\n'
  return { exitStatus: null, timedOut: false, succeeded: false, stdout: '', stderr }
}

function report(
  { job_uuid, capabilities }: V0PrepareJobRequest,
  outcome: Outcome,
): V0FinishedRequest | V0FailedRequest {
  const texts = { job_uuid, docker_process_stdout: outcome.stdout, docker_process_stderr: outcome.stderr }
  const message: V0FinishedRequest | V0FailedRequest = outcome.succeeded
    ? { message_type: 'V0FinishedRequest', ...texts }
    : {
        message_type: 'V0FailedRequest',
        docker_process_exit_status: outcome.exitStatus,
        timeout: outcome.timedOut,
        ...texts,
      }
  return fitFrame(message, largestFrameFor(capabilities))
}
