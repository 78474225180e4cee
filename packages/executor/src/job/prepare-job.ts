/** Prepares a job before the executor reports ready, so that the job's own time is spent on the job alone. */

import type { Engine } from '@horde/engine/engine'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { JobOffer } from '@horde/protocol/job/request'
import type { ExecutorSettings } from '../config.ts'
import type { SandboxLimits } from '../container/sandbox.ts'
import { checkHost } from '../host/check-host.ts'
import type { Gpus } from '../host/gpus.ts'
import { inForce } from '../host/in-force.ts'
import type { StateFolder } from '../host/state-folder.ts'
import type { ImageStore } from '../images/image-store.ts'
import { ImageError } from '../images/pull-image.ts'
import { HOLDER_IMAGE } from '../workspace/holder.ts'
import type { Identity } from '../workspace/identity.ts'
import { Workspace } from '../workspace/workspace.ts'
import { jobLimits, workspaceSizes } from './job-limits.ts'
import type { PreparedAhead } from './prepare-ahead.ts'

/** Everything that a job needs to start at once. Closing it removes all that the job made. */
export interface Preparation extends AsyncDisposable {
  workspace: Workspace
  limits: SandboxLimits
  gpus: Gpus
  /** The folder in which the engine keeps its containers. */
  dataFolder: string
}

export interface PrepareDeps {
  engine: Engine
  images: ImageStore
  settings: ExecutorSettings
  self: Identity
  state: StateFolder
  /** What was prepared before the offer; undefined when nothing was to be. */
  ahead?: PreparedAhead | undefined
  clock: Clock
  log: Log
}

/**
 * Checks the host, gets the image and makes the workspace. When this host cannot run the job it rejects and leaves
 * nothing.
 */
export async function prepareJob(offer: JobOffer, deps: PrepareDeps, signal: AbortSignal): Promise<Preparation> {
  const { engine, settings, self, ahead, log } = deps
  const { facts, gpus, checkGpus } = (await ahead?.host()) ?? (await checkHost(deps))
  const limits = jobLimits(settings, facts)
  log.info(inForce(facts, limits), 'limits in force for the job')
  const owner = { self, jobUuid: offer.jobUuid, ...facts }
  const openWorkspace = async () =>
    (await ahead?.takeWorkspace(offer.jobUuid)) ?? Workspace.open(engine, owner, workspaceSizes(limits), log)
  // Run both at once: each mostly waits for the engine. A workspace that cannot be made aborts the pull.
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
    [Symbol.asyncDispose]: () => workspace[Symbol.asyncDispose](),
  }
}

async function ensureImages(offer: JobOffer, gpus: Gpus, deps: PrepareDeps, signal: AbortSignal) {
  const { images, settings, log } = deps
  if (offer.image !== null) {
    await images.ensure(offer.image, 'job', signal)
    return
  }
  // An offer without an image is most likely of a script, which runs in one of these images. A missing one fails only
  // the job that needs it.
  const names = [settings.PYTHON_IMAGE, ...(gpus === undefined ? [] : [settings.PYTHON_NVIDIA_IMAGE])]
  for (const name of new Set(names)) {
    await images.ensure(name, 'operator', signal).catch(error => {
      if (!(error instanceof ImageError)) throw error
      log.warn({ image: name, why: error.message }, 'an image for scripts is not available')
    })
  }
}
