/** What is done before an executor says that it is ready, so that the job's own time goes to the job alone. */
import type { Log } from '@horde/kit/log'
import type { V0PrepareJobRequest } from '@horde/protocol/miner-executor'
import type { ExecutorSettings } from './config.ts'
import { checkGpus, checkLimits, type Gpus, gpusOf } from './engine/checks.ts'
import type { Engine, EngineFacts } from './engine/container.ts'
import { type Identity, identityText } from './engine/identity.ts'
import { ensureImage } from './engine/images.ts'
import type { SandboxLimits } from './engine/sandbox.ts'
import { Workspace, type WorkspaceSizes } from './engine/workspace.ts'

/** How much of the host's memory a job gets where no setting says so. */
const MEMORY_SHARE = 0.75
const PAGE_BYTES = 4096

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
  settings: ExecutorSettings
  self: Identity
  log: Log
}

/** Checks the engine, gets the image, makes the workspace. Rejects when this host cannot run the job; then nothing is left. */
export async function prepareJob(
  offer: V0PrepareJobRequest,
  deps: PrepareDeps,
  signal: AbortSignal,
): Promise<Preparation> {
  const { engine, settings, self, log } = deps
  const facts = await engine.facts()
  checkLimits(facts)
  const gpus = gpusOf(settings.EXECUTOR_GPU_DEVICE_IDS, facts)
  const limits = limitsOf(settings, facts)
  const owner = { self, jobUuid: offer.job_uuid, ...facts }
  // Both are mostly the engine's time: a pull, and the start of the holder.
  const [ensured, opened] = await Promise.allSettled([
    imageOf(offer, deps, signal),
    Workspace.open(engine, owner, sizesOf(limits), log),
  ])
  if (opened.status === 'rejected') throw opened.reason
  const workspace = opened.value
  try {
    if (ensured.status === 'rejected') throw ensured.reason
    const image = ensured.value
    if (gpus !== undefined && image !== undefined && !facts.tellsOfNvidia) {
      await checkGpus(engine, gpus, image, identityText(self))
    }
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

async function imageOf(offer: V0PrepareJobRequest, { engine, settings, log }: PrepareDeps, signal: AbortSignal) {
  if (!offer.base_docker_image_name) return undefined
  const options = { aliases: settings.IMAGE_ALIASES, pullMs: settings.PULL_TIMEOUT_SECONDS * 1_000, log }
  return (await ensureImage(engine, offer.base_docker_image_name, options, signal)).name
}

function limitsOf(settings: ExecutorSettings, facts: EngineFacts): SandboxLimits {
  const memoryBytes = settings.MEMORY_LIMIT_BYTES ?? Math.floor(facts.memoryBytes * MEMORY_SHARE)
  const { VOLUME_MAX_SIZE_BYTES, VOLUME_MAX_FILES, OUTPUT_MAX_SIZE_BYTES, OUTPUT_MAX_FILES } = settings
  return {
    memoryBytes,
    cpus: Math.min(settings.CPU_LIMIT ?? facts.cpus, facts.cpus),
    pids: settings.PIDS_LIMIT,
    openFiles: settings.OPEN_FILES_LIMIT,
    tmpBytes: settings.TMP_SIZE_BYTES,
    shmBytes: settings.SHM_SIZE_BYTES,
    outputBytes: inPages(OUTPUT_MAX_SIZE_BYTES, OUTPUT_MAX_FILES),
    writableVolumeBytes: settings.WRITABLE_VOLUME ? inPages(VOLUME_MAX_SIZE_BYTES, VOLUME_MAX_FILES) : undefined,
    filesPerFolder: settings.FOLDER_MAX_FILES,
    writableRootBytes: settings.WRITABLE_ROOT ? settings.ROOT_MAX_SIZE_BYTES : undefined,
    runtime: settings.RUNTIME,
  }
}

/** What files of so many bytes together may take in memory, where each is rounded up to whole pages. */
function inPages(bytes: number, files: number): number {
  return bytes + files * PAGE_BYTES
}

function sizesOf({ outputBytes, tmpBytes, writableVolumeBytes, filesPerFolder }: SandboxLimits): WorkspaceSizes {
  return { outputBytes, homeBytes: tmpBytes, writableVolumeBytes, filesPerFolder }
}
