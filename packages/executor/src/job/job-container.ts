/** Creates the sandboxed container of a job from its work and its image. */
import { dirname, join } from 'node:path'
import { EngineError } from '@horde/engine/engine-error'
import type { Log } from '@horde/kit/log'
import type { JobWork } from '@horde/protocol/job/request'
import {
  artifactsPath,
  containerOptions,
  homeOf,
  type SandboxedJob,
  type SandboxLimits,
  volumeFolders,
} from '../container/sandbox.ts'
import type { Gpus } from '../host/gpus.ts'
import type { ReadyImage } from '../images/image-store.ts'
import { SCRIPT_FOLDER, SCRIPT_PATH, type Workspace } from '../workspace/workspace.ts'
import { JobFailure } from './job-failure.ts'
import type { Preparation } from './prepare-job.ts'

/** Bounded because each volume takes memory, and time to be made. */
const MAX_IMAGE_VOLUMES = 16

const RUN_SCRIPT = ['python', '/script.py']

/** The file for /etc/hostname. It lies beside the script, where the job cannot write. */
const HOSTNAME = 'hostname'

/** Returns the files that a job's container needs in the workspace besides the input: texts by path. */
export function jobFiles(work: JobWork, limits: SandboxLimits): Record<string, string> {
  return {
    ...(work.script === null ? {} : { [SCRIPT_PATH]: work.script }),
    ...(limits.writableRootBytes === undefined ? {} : { [`${SCRIPT_FOLDER}/${HOSTNAME}`]: 'job\n' }),
  }
}

/** Creates the container of a job and returns its id. Rejects with JobFailure when the job or its image is at fault. */
export async function createJobContainer(
  work: JobWork,
  image: ReadyImage,
  gpus: Gpus,
  { preparation: { workspace, limits }, log }: { preparation: Preparation; log: Log },
): Promise<string> {
  const home = homeOf(image)
  const folders = volumeFolders(image.volumes)
  if (folders === undefined) throw new JobFailure('The image has a VOLUME at / or within /volume or /output')
  if (folders.length > MAX_IMAGE_VOLUMES) throw new JobFailure(`The image has more than ${MAX_IMAGE_VOLUMES} VOLUMEs`)
  const artifacts = await artifactsOf(work, workspace)
  // The job's own folder hides the image's.
  const others = folders.filter(folder => folder !== home && folder !== artifacts?.folder)
  const imageFolders = await workspace.volumesFor(others)
  const homeFolder =
    home === undefined || home === artifacts?.folder ? [] : [{ folder: home, volume: workspace.homeVolume }]
  const job = {
    image: image.name,
    command: work.script !== null && work.args.length === 0 ? RUN_SCRIPT : work.args,
    env: work.env,
    inputVolume: workspace.inputVolume,
    outputVolume: workspace.outputVolume,
    imageFolders: [...imageFolders, ...homeFolder],
    artifacts,
    scriptPath: work.script === null ? undefined : workspace.scriptHostPath,
    hostnamePath:
      limits.writableRootBytes === undefined ? undefined : join(dirname(workspace.scriptHostPath), HOSTNAME),
    gpus,
    labels: workspace.labels,
  }
  try {
    return await create(job, limits, workspace, log)
  } catch (error) {
    if (!(error instanceof EngineError)) throw error
    if (error.problem === 'no-image') throw new JobFailure(`The image ${image.name} was removed from this host`)
    if (error.problem === 'no-folder') {
      throw new JobFailure('The image has a VOLUME or WORKDIR where no folder can be')
    }
    if (error.code !== 'invalid') throw error
    throw new JobFailure('The engine refuses the job', error.message)
  }
}

async function artifactsOf({ artifactsFolder }: JobWork, workspace: Workspace): Promise<SandboxedJob['artifacts']> {
  if (artifactsFolder === null) return undefined
  const folder = artifactsPath(artifactsFolder)
  if (folder === undefined) throw new JobFailure('The artifacts folder cannot be where the job wants it')
  return { folder, volume: await workspace.addArtifacts() }
}

/**
 * Creates the container. A home that cannot be a volume stays read-only; any other volume that does not fit fails the
 * job.
 */
async function create(job: SandboxedJob, limits: SandboxLimits, workspace: Workspace, log: Log): Promise<string> {
  const others = job.imageFolders.filter(({ volume }) => volume !== workspace.homeVolume)
  try {
    return await workspace.createContainer(containerOptions(job, limits))
  } catch (error) {
    if (!(error instanceof EngineError)) throw error
    const isFull = error.problem === 'no-space'
    // Not tried again: the engine copies an image's folder only into an empty volume, and these may be partly filled.
    if (isFull && others.length > 0)
      throw new JobFailure("The image's VOLUME folders and home hold more than they may here")
    if (!isFull && error.problem !== 'no-folder') throw error
    if (others.length === job.imageFolders.length) throw error
    const why = isFull ? 'it is larger than TMP_SIZE_BYTES' : 'it is not a folder'
    log.warn({ image: job.image, why }, 'the home of the image stays read-only')
    return workspace.createContainer(containerOptions({ ...job, imageFolders: others }, limits))
  }
}
