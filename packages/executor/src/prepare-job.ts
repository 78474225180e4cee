/** What is done before an executor says that it is ready, so that the job's own time goes to the job alone. */

import type { Engine } from '@horde/engine/engine'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { V0PrepareJobRequest } from '@horde/protocol/miner-executor'
import type { ExecutorSettings } from './config.ts'
import type { SandboxLimits } from './container/sandbox.ts'
import { checkHost } from './host/check-host.ts'
import type { Gpus } from './host/gpus.ts'
import { inForce } from './host/in-force.ts'
import type { StateFolder } from './host/state-folder.ts'
import type { ImageStore } from './images/image-store.ts'
import { ImageError } from './images/pull-image.ts'
import { jobLimits, workspaceSizes } from './job-limits.ts'
import type { PreparedAhead } from './prepare-ahead.ts'
import { HOLDER_IMAGE } from './workspace/holder.ts'
import type { Identity } from './workspace/identity.ts'
import { Workspace } from './workspace/workspace.ts'

/** A place where a job can run at once. Closing it removes everything that the job made. */
export interface Preparation extends AsyncDisposable {
  workspace: Workspace
  limits: SandboxLimits
  gpus: Gpus
  /** The job's own time limit, in ms. */
  timeMs: number
  /** Where the engine keeps its containers. */
  dataFolder: string
}

export interface PrepareDeps {
  engine: Engine
  images: ImageStore
  settings: ExecutorSettings
  self: Identity
  state: StateFolder
  /** What was done before the offer; undefined: nothing was to be. */
  ahead?: PreparedAhead | undefined
  clock: Clock
  log: Log
}

/** Checks the engine, gets the image, makes the workspace. Rejects when this host cannot run the job; then nothing is left. */
export async function prepareJob(
  offer: V0PrepareJobRequest,
  deps: PrepareDeps,
  signal: AbortSignal,
): Promise<Preparation> {
  const { engine, settings, self, ahead, log } = deps
  const { facts, gpus, checkGpus } = (await ahead?.host()) ?? (await checkHost(deps))
  const limits = jobLimits(settings, facts)
  log.info(inForce(facts, limits), 'what holds the job')
  const owner = { self, jobUuid: offer.job_uuid, ...facts }
  const openWorkspace = async () =>
    (await ahead?.takeWorkspace(offer.job_uuid)) ?? Workspace.open(engine, owner, workspaceSizes(limits), log)
  // Both are mostly the engine's time: a pull, and the start of the holder. Without the one, nobody waits for the other.
  const stop = new AbortController()
  const [ensured, opened] = await Promise.allSettled([
    ensureImages(offer, gpus, deps, AbortSignal.any([signal, stop.signal])),
    openWorkspace().catch(error => {
      stop.abort()
      throw error
    }),
  ])
  if (opened.status === 'rejected') throw opened.reason
  const workspace = opened.value
  try {
    if (ensured.status === 'rejected') throw ensured.reason
    await checkGpus(HOLDER_IMAGE)
    signal.throwIfAborted()
  } catch (error) {
    await workspace[Symbol.asyncDispose]()
    throw error
  }
  return {
    workspace,
    limits,
    gpus,
    dataFolder: facts.dataFolder,
    timeMs: (offer.timeout_seconds ?? settings.DEFAULT_TIMEOUT_SECONDS) * 1_000,
    [Symbol.asyncDispose]: () => workspace[Symbol.asyncDispose](),
  }
}

async function ensureImages(offer: V0PrepareJobRequest, gpus: Gpus, deps: PrepareDeps, signal: AbortSignal) {
  const { images, settings, log } = deps
  if (offer.base_docker_image_name) {
    await images.ensure(offer.base_docker_image_name, 'job', signal)
    return
  }
  // A script will come, most likely, and with GPUs one of two images is its own: not got on its time, nor missed before it.
  const names = [settings.PYTHON_IMAGE, ...(gpus === undefined ? [] : [settings.PYTHON_NVIDIA_IMAGE])]
  for (const name of new Set(names)) {
    await images.ensure(name, 'operator', signal).catch(error => {
      if (!(error instanceof ImageError)) throw error
      log.warn({ image: name, why: error.message }, 'the image for scripts is not to be had')
    })
  }
}
