/** Runs a prepared job: waits for its work, loads its input, runs its container, brings back its output. */

import type { Engine } from '@horde/engine/engine'
import type { Log } from '@horde/kit/log'
import { type Clock, DeadlineError } from '@horde/kit/time'
import { isPreset } from '@horde/protocol/job/preset'
import type { JobResult, JobStage } from '@horde/protocol/job/report'
import type { JobOffer, JobWork } from '@horde/protocol/job/request'
import type { Volume } from '@horde/protocol/job/volumes'
import type { ExecutorSettings } from '../config.ts'
import { CapturedOutput } from '../container/captured-output.ts'
import { type RunEnd, runContainer } from '../container/run-container.ts'
import type { Gpus } from '../host/gpus.ts'
import type { ImageStore, ReadyImage } from '../images/image-store.ts'
import { ImageError } from '../images/pull-image.ts'
import { loadVolumes } from '../inputs/load-volumes.ts'
import type { MinerConnection } from '../miner/miner-connection.ts'
import { returnOutputs, wantsOutputs } from '../uploads/return-outputs.ts'
import { createJobContainer, jobFiles } from './job-container.ts'
import { HostLackFailure, JobFailure, TimeLimitFailure, withinDeadline } from './job-failure.ts'
import { badEnd, broken, lostOutputs, notRun, uploadFailed } from './job-result.ts'
import type { Preparation } from './prepare-job.ts'
import { type StageTimes, stageTimes } from './stage-times.ts'

/** Added to stderr when the engine's restart emptied /output. */
const OUTPUT_LOST = 'The outputs were lost when the container engine was restarted.'

const HOST_FAILED = 'The executor could not run the job to its end: its container engine or its disk failed.'

export interface RunJobDeps {
  miner: Pick<MinerConnection, 'report' | 'receiveWork'>
  engine: Engine
  images: ImageStore
  preparation: Preparation
  settings: ExecutorSettings
  clock: Clock
  log: Log
}

/** A job while it runs: what is known of it, and how far it has come. */
interface Run extends RunJobDeps {
  times: StageTimes
  /** The stage in which the job fails, if it fails now. */
  stage: JobStage
  work: JobWork | undefined
}

/**
 * Reports a prepared job as ready, and runs it. Rejects only when the signal aborts, or when the work does not come in
 * a time that is not the job's own.
 */
export async function runJob(offer: JobOffer, deps: RunJobDeps, signal: AbortSignal): Promise<JobResult> {
  const { miner, settings, clock } = deps
  await miner.report('ready')
  const times = stageTimes(offer.limits, defaultTimes(settings), clock)
  if (times === undefined) {
    const message = 'The offer names no time limit'
    return broken({ reason: 'generic-error', stage: 'executor-startup', message, cause: null })
  }
  const run: Run = { ...deps, times, stage: 'volume-download', work: undefined }
  const stop = new AbortController()
  const either = AbortSignal.any([signal, stop.signal])
  const loading = offer.volumes.length === 0 ? undefined : loadInputs(offer.volumes, {}, run, either)
  loading?.catch(() => {})
  try {
    run.work = await receiveWork(run, loading, either)
    return await runWork(run.work, loading, run, either)
  } catch (error) {
    signal.throwIfAborted()
    return resultOfError(error, run)
  } finally {
    stop.abort()
    await loading?.catch(() => {})
  }
}

function defaultTimes(settings: ExecutorSettings) {
  return {
    work: settings.WORK_TIMEOUT_SECONDS * 1_000,
    load: settings.INPUT_TIMEOUT_SECONDS * 1_000,
    run: settings.DEFAULT_TIMEOUT_SECONDS * 1_000,
    upload: settings.UPLOAD_TIMEOUT_SECONDS * 1_000,
  }
}

/**
 * Returns the work. Rejects when what the offer names cannot be loaded, but only after the work has arrived or its time
 * is over: an earlier failure is out of order, and a miner may not take it as the job's own.
 */
async function receiveWork(
  { miner, times, log }: Run,
  loading: Promise<void> | undefined,
  signal: AbortSignal,
): Promise<JobWork> {
  const ms = times.work()
  let failedLoading: Promise<void> | undefined
  loading?.catch(() => {
    failedLoading = loading
    if (!signal.aborted) log.info('the input could not be loaded; the miner hears of it once the job has its work')
  })
  try {
    const work = await miner.receiveWork(ms, signal)
    await failedLoading
    return work
  } catch (error) {
    signal.throwIfAborted()
    await failedLoading
    if (!(error instanceof DeadlineError) || !times.countsWork) throw error
    throw new TimeLimitFailure(`The work was not there within ${Math.round(ms) / 1_000} seconds`)
  }
}

/** Returns the result of a job that could not be run to its end. Throws when its work did not come at all. */
function resultOfError(error: unknown, { stage, work, times, log }: Run): JobResult {
  if (error instanceof DeadlineError && work === undefined && !times.countsWork) throw error
  if (error instanceof JobFailure || error instanceof ImageError) {
    const why = error instanceof JobFailure ? error.sentence : error.message
    log.info({ why }, 'the job cannot be run as requested')
    return notRun(error, stage)
  }
  log.error({ err: error }, 'the host failed while the job ran')
  const cause = error instanceof Error ? error.name : null
  return broken({ reason: 'unhandled-exception', stage, message: HOST_FAILED, cause })
}

async function runWork(
  work: JobWork,
  loading: Promise<void> | undefined,
  run: Run,
  signal: AbortSignal,
): Promise<JobResult> {
  if (loading !== undefined && work.volumes.length > 0) {
    const message = 'Both the offer and the work name volumes'
    return broken({ reason: 'generic-error', stage: 'volume-download', message, cause: null })
  }
  run.stage = 'execution'
  const gpus = gpusFor(work.preset, run)
  const image = await imageFor(work, run, signal)
  run.stage = 'volume-download'
  const files = jobFiles(work, run.preparation.limits)
  await (loading ? loading.then(() => loadFiles(files, run, signal)) : loadInputs(work.volumes, files, run, signal))
  await run.miner.report('volumes-ready')
  run.stage = 'execution'
  const id = await createJobContainer(work, image, gpus, run)
  signal.throwIfAborted()
  return runAndDeliver(id, work, run, signal)
}

function gpusFor(preset: string, { preparation: { gpus }, settings }: Run): Gpus {
  if (!isPreset(preset)) throw new JobFailure('The preset of the job is not known: none or nvidia_all')
  if (settings.DEBUG_NO_GPU_MODE) return undefined
  if (preset === 'nvidia_all' && gpus === undefined) {
    throw new HostLackFailure('The job asks for NVIDIA GPUs and this executor has none')
  }
  return preset === 'nvidia_all' ? gpus : undefined
}

/** Gets the image. Where the wait for the work counts as the job's time, so does a pull that the offer did not announce. */
async function imageFor(work: JobWork, { images, settings, times }: Run, signal: AbortSignal): Promise<ReadyImage> {
  const python = work.preset === 'nvidia_all' ? settings.PYTHON_NVIDIA_IMAGE : settings.PYTHON_IMAGE
  const ensure = (stage: AbortSignal) =>
    work.image === null ? images.ensure(python, 'operator', stage) : images.ensure(work.image, 'job', stage)
  return times.countsWork ? withinDeadline('The image was not there', times.load(), signal, ensure) : ensure(signal)
}

async function loadInputs(
  volumes: readonly Volume[],
  files: Record<string, string>,
  { preparation, settings, times, clock, log }: Run,
  signal: AbortSignal,
): Promise<void> {
  const { workspace } = preparation
  await withinDeadline('The input was not there', times.load(), signal, (stage, msLeft) =>
    loadVolumes(volumes, files, { workspace, settings, msLeft, clock, log }, stage),
  )
}

/** Loads only the files of the job's container. Its input is there. */
async function loadFiles(files: Record<string, string>, run: Run, signal: AbortSignal): Promise<void> {
  if (Object.keys(files).length > 0) await loadInputs([], files, run, signal)
}

async function runAndDeliver(id: string, work: JobWork, run: Run, signal: AbortSignal): Promise<JobResult> {
  const { engine, preparation, settings, times, clock, log } = run
  await using output = await CapturedOutput.open(preparation.workspace.folder)
  const { limits: sandbox, dataFolder } = preparation
  const limits = {
    timeMs: times.run(),
    maxOutputBytes: settings.MAX_OUTPUT_BYTES,
    ...(sandbox.writableRootBytes === undefined
      ? {}
      : { root: { maxBytes: sandbox.writableRootBytes, everyMs: settings.ROOT_WATCH_SECONDS * 1_000, dataFolder } }),
  }
  const end = await runContainer(id, limits, { containers: engine.containers, output, clock }, signal)
  const { exitStatus, why } = end.kind === 'exited' ? { why: null, ...end } : { exitStatus: null, why: null }
  log.info({ end: end.kind, exitStatus, why }, 'job container ended')
  if (end.note !== undefined) await output.note(end.note)
  return await deliver(work, end, output, run, signal)
}

/** Brings back the output, where the job wants that, and returns the result. */
async function deliver(
  work: JobWork,
  end: RunEnd,
  output: CapturedOutput,
  run: Run,
  signal: AbortSignal,
): Promise<JobResult> {
  const isGood = end.kind === 'exited' && end.exitStatus === 0
  if (isGood) {
    run.stage = 'result-upload'
    await run.miner.report('execution-done')
  }
  const isWanted = wantsOutputs(work) && (isGood || work.uploads.afterFailure)
  const { workspace } = run.preparation
  const lost = isWanted && end.wasCut && !(await workspace.hasOutput()) ? OUTPUT_LOST : undefined
  if (lost !== undefined) await output.note(lost)
  const returned = isWanted
    ? await returnOutputs(work, output, run.times.upload(), { ...run, workspace }, signal)
    : NOTHING_RETURNED
  const failure = returned instanceof JobFailure ? returned : undefined
  const why = lost ?? failure?.message
  if (why !== undefined) run.log.info({ why }, 'the outputs were not delivered')
  const printed = await output.texts()
  const bad = badEnd(end, printed)
  if (bad !== undefined) return bad
  if (lost !== undefined) return lostOutputs(lost, printed)
  if (returned instanceof JobFailure) return uploadFailed(returned, printed)
  return { end: 'finished', ...printed, ...returned }
}

const NOTHING_RETURNED = { artifacts: null, uploadAnswers: null }
