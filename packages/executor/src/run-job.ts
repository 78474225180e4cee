/** The work itself: inputs in, container run, outputs away. Whatever becomes of it is an outcome to report. */
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { isPreset } from '@horde/protocol/job'
import type { V0RunJobRequest } from '@horde/protocol/miner-executor'
import { CapturedOutput } from './captured-output.ts'
import type { ExecutorSettings } from './config.ts'
import type { Engine } from './container.ts'
import { ensureImage, ImageError, type ReadyImage } from './images.ts'
import { fetchInput, loadingArchive } from './inputs.ts'
import { JobFailure } from './job-failure.ts'
import { uploadZip, zipOutputs } from './outputs.ts'
import type { Preparation } from './prepare-job.ts'
import { type RunEnd, runContainer } from './run-container.ts'
import { containerOptions, homeOf } from './sandbox.ts'
import { withinDeadline } from './stage.ts'

export interface RunJobDeps {
  engine: Engine
  settings: ExecutorSettings
  clock: Clock
  log: Log
}

/** How a job ended, in the words of the wire. */
export interface Outcome {
  /** null when it did not exit by itself. */
  exitStatus: number | null
  timedOut: boolean
  /** Whether everything went well, the upload included. */
  succeeded: boolean
  stdout: string
  stderr: string
}

/** Runs a job in a prepared workspace. Rejects only when the signal aborts or this host fails. */
export async function runJob(
  work: V0RunJobRequest,
  preparation: Preparation,
  deps: RunJobDeps,
  signal: AbortSignal,
): Promise<Outcome> {
  try {
    const gpus = gpusFor(work.docker_run_options_preset, preparation)
    const image = await imageFor(work, deps, signal)
    await loadInputs(work, image.name, preparation, deps, signal)
    return await runAndUpload(work, image, gpus, preparation, deps, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof JobFailure || error instanceof ImageError)) throw error
    return { exitStatus: null, timedOut: false, succeeded: false, stdout: error.message, stderr: '' }
  }
}

function gpusFor(preset: string, { gpus }: Preparation): Preparation['gpus'] {
  if (!isPreset(preset)) throw new JobFailure('The preset of the job is not known: none or nvidia_all')
  if (preset === 'nvidia_all' && gpus === undefined) {
    throw new JobFailure('The job asks for NVIDIA GPUs and this executor has none')
  }
  return preset === 'nvidia_all' ? gpus : undefined
}

function imageFor(
  work: V0RunJobRequest,
  { engine, settings, log }: RunJobDeps,
  signal: AbortSignal,
): Promise<ReadyImage> {
  const python = work.docker_run_options_preset === 'nvidia_all' ? settings.PYTHON_NVIDIA_IMAGE : settings.PYTHON_IMAGE
  const options = { aliases: settings.IMAGE_ALIASES, pullMs: settings.PULL_TIMEOUT_SECONDS * 1_000, log }
  return ensureImage(engine, work.docker_image_name || python, options, signal)
}

async function loadInputs(
  work: V0RunJobRequest,
  image: string,
  { workspace }: Preparation,
  { settings }: RunJobDeps,
  signal: AbortSignal,
): Promise<void> {
  const limits = {
    maxBytes: settings.VOLUME_MAX_SIZE_BYTES,
    maxEntries: settings.VOLUME_MAX_FILES,
    allowPrivate: settings.ALLOW_PRIVATE_TARGETS,
  }
  const ms = settings.INPUT_TIMEOUT_SECONDS * 1_000
  await withinDeadline('The input was not there', ms, signal, async stage => {
    const zip = await fetchInput(work.volume, workspace.folder, limits, stage)
    const tar = loadingArchive(zip, work.raw_script || null, limits)
    const broken = new Promise<never>((_, reject) => tar.once('error', reject))
    try {
      await Promise.race([workspace.load(tar, image, stage), broken])
    } finally {
      tar.destroy()
    }
  })
}

async function runAndUpload(
  work: V0RunJobRequest,
  image: ReadyImage,
  gpus: Preparation['gpus'],
  preparation: Preparation,
  deps: RunJobDeps,
  signal: AbortSignal,
): Promise<Outcome> {
  const { workspace } = preparation
  const id = await workspace.createContainer(
    containerOptions(
      {
        image: image.name,
        command: work.raw_script && work.docker_run_cmd.length === 0 ? ['python', '/script.py'] : work.docker_run_cmd,
        inputVolume: workspace.inputVolume,
        outputVolume: workspace.outputVolume,
        scriptPath: work.raw_script ? workspace.scriptHostPath : undefined,
        gpus,
        home: homeOf(image),
        labels: workspace.labels,
      },
      preparation.limits,
    ),
  )
  await using output = await CapturedOutput.open(workspace.folder)
  const limits = { timeMs: preparation.timeMs, maxOutputBytes: deps.settings.MAX_OUTPUT_BYTES }
  const end = await runContainer(id, limits, { engine: deps.engine, output, clock: deps.clock }, signal)
  deps.log.info({ end: end.kind, exitStatus: end.kind === 'exited' ? end.exitStatus : null }, 'job container ended')
  if (end.note !== undefined) await output.note(end.note)
  const failure = await upload(id, work, output, preparation, deps, signal)
  if (failure !== undefined) await output.note(failure)
  return outcomeOf(end, failure, await output.texts())
}

/** Uploads what the job left, also for a job that failed. Gives the sentence that says why it could not. */
async function upload(
  id: string,
  work: V0RunJobRequest,
  output: CapturedOutput,
  { workspace }: Preparation,
  { engine, settings }: RunJobDeps,
  signal: AbortSignal,
): Promise<string | undefined> {
  const target = work.output_upload
  if (target === null) return undefined
  const limits = {
    maxZipBytes: settings.OUTPUT_ZIP_UPLOAD_MAX_SIZE_BYTES,
    maxBytes: settings.OUTPUT_MAX_SIZE_BYTES,
    maxFiles: settings.OUTPUT_MAX_FILES,
    allowPrivate: settings.ALLOW_PRIVATE_TARGETS,
  }
  try {
    await withinDeadline(
      'The output was not uploaded',
      settings.UPLOAD_TIMEOUT_SECONDS * 1_000,
      signal,
      async stage => {
        const tar = await engine.getArchive(id, '/output')
        const zip = await zipOutputs(tar, output, workspace.folder, limits, stage)
        await uploadZip(zip, target, limits.allowPrivate, stage)
      },
    )
    return undefined
  } catch (error) {
    if (error instanceof JobFailure) return error.message
    throw error
  }
}

function outcomeOf(end: RunEnd, failure: string | undefined, texts: { stdout: string; stderr: string }): Outcome {
  const exitStatus = end.kind === 'exited' ? end.exitStatus : null
  return {
    exitStatus,
    timedOut: end.kind === 'timed out',
    succeeded: exitStatus === 0 && failure === undefined,
    ...texts,
  }
}
