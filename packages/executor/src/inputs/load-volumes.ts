/** Loads all that a job reads into its workspace. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Volume } from '@horde/protocol/job/volumes'
import type { ExecutorSettings } from '../config.ts'
import type { RetryDeps } from '../http/retry.ts'
import type { Workspace } from '../workspace/workspace.ts'
import { openInputCache } from './cache/input-cache.ts'
import { fetchVolumes } from './fetch-volumes.ts'
import { InputBudget } from './limits/input-budget.ts'
import { packInputs } from './pack-inputs.ts'

/** Where the volumes lie until they are in the workspace. */
const FOLDER = 'inputs'

export interface LoadDeps extends RetryDeps {
  workspace: Pick<Workspace, 'folder' | 'load'>
  settings: ExecutorSettings
}

/**
 * Fetches the volumes, one after the other, and unpacks them into the workspace, later ones over earlier ones, with an
 * empty /output and `further` texts by path. No volume at all is an empty /volume. Rejects with InputFailure when a
 * volume is at fault.
 */
export async function loadVolumes(
  volumes: readonly Volume[],
  further: Record<string, string>,
  { workspace, settings, ...retries }: LoadDeps,
  signal: AbortSignal,
): Promise<void> {
  const folder = join(workspace.folder, FOLDER)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const hasDownloads = volumes.some(({ kind }) => kind !== 'inline-zip')
  const deps = {
    ...retries,
    folder,
    budget: new InputBudget({ maxBytes: settings.VOLUME_MAX_SIZE_BYTES, maxEntries: settings.VOLUME_MAX_FILES }),
    cache: hasDownloads ? await openInputCache(settings, retries) : undefined,
    allowPrivate: settings.ALLOW_PRIVATE_TARGETS,
    hub: { endpoint: settings.HF_ENDPOINT, token: settings.HF_ACCESS_TOKEN },
  }
  const tar = packInputs(await fetchVolumes(volumes, deps, signal), further, settings.WRITABLE_VOLUME)
  const failed = new Promise<never>((_, reject) => tar.once('error', reject))
  try {
    await Promise.race([workspace.load(tar, signal), failed])
  } finally {
    tar.destroy()
    // What the job has needs no second copy on this disk while it runs.
    await rm(folder, { recursive: true, force: true })
  }
}
