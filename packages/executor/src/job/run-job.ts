/** Runs a prepared job: loads its input, runs its container, uploads its output. */

import type { Engine } from '@horde/engine/engine'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { isPreset, type OutputUpload } from '@horde/protocol/job'
import type { Volume } from '@horde/protocol/job/volumes'
import type { V0RunJobRequest } from '@horde/protocol/miner-executor'
import type { ExecutorSettings } from '../config.ts'
import { CapturedOutput } from '../container/captured-output.ts'
import { type RunEnd, runContainer } from '../container/run-container.ts'
import type { Gpus } from '../host/gpus.ts'
import type { ImageStore, ReadyImage } from '../images/image-store.ts'
import { ImageError } from '../images/pull-image.ts'
import { loadVolumes } from '../inputs/load-volumes.ts'
import { createJobContainer, jobFiles } from './job-container.ts'
import { JobFailure, withinDeadline } from './job-failure.ts'
import { uploadZip, zipOutputs } from './outputs.ts'
import type { Preparation } from './prepare-job.ts'

/** Added to stderr when the engine's restart emptied /output. */
const OUTPUT_LOST = 'The outputs were lost when the container engine was restarted.'

export interface RunJobDeps {
  engine: Engine
  images: ImageStore
  preparation: Preparation
  settings: ExecutorSettings
  clock: Clock
  log: Log
}

/** How a job ended: the only type for it from the container to the message for the miner. */
export interface JobResult {
  /** null when the job did not exit by itself. */
  exitStatus: number | null
  /** True when the job's own time limit ended it. */
  timedOut: boolean
  /** True when the job exited with 0 and its output was uploaded, if it was to be. */
  succeeded: boolean
  stdout: string
  stderr: string
}

/** Runs a job in a prepared workspace. Rejects only when the signal aborts or this host fails. */
export async function runJob(work: V0RunJobRequest, deps: RunJobDeps, signal: AbortSignal): Promise<JobResult> {
  try {
    const gpus = gpusFor(work.docker_run_options_preset, deps.preparation)
    const image = await imageFor(work, deps, signal)
    await loadInputs(work, deps, signal)
    const id = await createJobContainer(work, image, gpus, deps)
    signal.throwIfAborted()
    return await runAndUpload(id, work, deps, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof JobFailure || error instanceof ImageError)) throw error
    const why = error instanceof JobFailure ? error.sentence : error.message
    deps.log.info({ why }, 'the job cannot be run as requested')
    return { exitStatus: null, timedOut: false, succeeded: false, stdout: error.message, stderr: '' }
  }
}

function gpusFor(preset: string, { gpus }: Preparation): Gpus {
  if (!isPreset(preset)) throw new JobFailure('The preset of the job is not known: none or nvidia_all')
  if (preset === 'nvidia_all' && gpus === undefined) {
    throw new JobFailure('The job asks for NVIDIA GPUs and this executor has none')
  }
  return preset === 'nvidia_all' ? gpus : undefined
}

function imageFor(work: V0RunJobRequest, deps: RunJobDeps, signal: AbortSignal): Promise<ReadyImage> {
  const { images, settings } = deps
  if (work.docker_image_name) return images.ensure(work.docker_image_name, 'job', signal)
  const python = work.docker_run_options_preset === 'nvidia_all' ? settings.PYTHON_NVIDIA_IMAGE : settings.PYTHON_IMAGE
  return images.ensure(python, 'operator', signal)
}

async function loadInputs(work: V0RunJobRequest, deps: RunJobDeps, signal: AbortSignal): Promise<void> {
  const { preparation, settings, clock, log } = deps
  const { workspace } = preparation
  const { volume_type, contents } = work.volume
  const volume: Volume =
    volume_type === 'inline'
      ? { kind: 'inline-zip', base64: contents, folder: null }
      : { kind: 'zip-url', url: contents, folder: null }
  const ms = settings.INPUT_TIMEOUT_SECONDS * 1_000
  await withinDeadline('The input was not there', ms, signal, (stage, msLeft) => {
    const texts = jobFiles(work, preparation.limits)
    return loadVolumes([volume], texts, { workspace, settings, msLeft, clock, log }, stage)
  })
}

async function runAndUpload(
  id: string,
  work: V0RunJobRequest,
  deps: RunJobDeps,
  signal: AbortSignal,
): Promise<JobResult> {
  const { engine, preparation, settings, clock, log } = deps
  await using output = await CapturedOutput.open(preparation.workspace.folder)
  const { timeMs, limits: sandbox, dataFolder } = preparation
  const limits = {
    timeMs,
    maxOutputBytes: settings.MAX_OUTPUT_BYTES,
    ...(sandbox.writableRootBytes === undefined
      ? {}
      : { root: { maxBytes: sandbox.writableRootBytes, everyMs: settings.ROOT_WATCH_SECONDS * 1_000, dataFolder } }),
  }
  const end = await runContainer(id, limits, { containers: engine.containers, output, clock }, signal)
  const { exitStatus, why } = end.kind === 'exited' ? { why: null, ...end } : { exitStatus: null, why: null }
  log.info({ end: end.kind, exitStatus, why }, 'job container ended')
  if (end.note !== undefined) await output.note(end.note)
  const failure = work.output_upload ? await deliver(work.output_upload, end, output, deps, signal) : undefined
  return resultOf(end, failure, await output.texts())
}

/** Uploads the output. Returns the sentence that says why it is not all of it, which is also added to stderr. */
async function deliver(
  target: OutputUpload,
  end: RunEnd,
  output: CapturedOutput,
  deps: RunJobDeps,
  signal: AbortSignal,
): Promise<string | undefined> {
  const lost = end.wasCut && !(await deps.preparation.workspace.hasOutput()) ? OUTPUT_LOST : undefined
  if (lost !== undefined) await output.note(lost)
  const failure = await upload(target, output, deps, signal)
  if (failure !== undefined) await output.note(failure)
  const why = lost ?? failure
  if (why !== undefined) deps.log.info({ why }, 'the outputs were not delivered')
  return why
}

/** Uploads the output, also of a job that failed. Returns the sentence that says why the upload failed. */
async function upload(
  target: OutputUpload,
  output: CapturedOutput,
  { preparation, settings, clock, log }: RunJobDeps,
  signal: AbortSignal,
): Promise<string | undefined> {
  const limits = {
    maxZipBytes: settings.OUTPUT_ZIP_UPLOAD_MAX_SIZE_BYTES,
    maxBytes: settings.OUTPUT_MAX_SIZE_BYTES,
    maxFiles: settings.OUTPUT_MAX_FILES,
  }
  const ms = settings.UPLOAD_TIMEOUT_SECONDS * 1_000
  try {
    await withinDeadline('The output was not uploaded', ms, signal, async (stage, msLeft) => {
      const openTar = () => preparation.workspace.readOutput()
      const zip = await zipOutputs(openTar, output, preparation.workspace.folder, limits, stage)
      await uploadZip(zip, target, settings.ALLOW_PRIVATE_TARGETS, { msLeft, clock, log }, stage)
    })
    return undefined
  } catch (error) {
    if (error instanceof JobFailure) return error.message
    throw error
  }
}

function resultOf(end: RunEnd, failure: string | undefined, texts: { stdout: string; stderr: string }): JobResult {
  const exitStatus = end.kind === 'exited' ? end.exitStatus : null
  const succeeded = exitStatus === 0 && failure === undefined
  return { exitStatus, timedOut: end.kind === 'timed out', succeeded, ...texts }
}
