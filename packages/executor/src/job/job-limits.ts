/** Derives the limits of a job from the settings and the host. */
import type { HostSettings } from '../config.ts'
import type { SandboxLimits } from '../container/sandbox.ts'
import type { WorkspaceSizes } from '../workspace/workspace.ts'

/** The share of the host's memory that a job gets when MEMORY_LIMIT_BYTES is unset. */
const MEMORY_SHARE = 0.75
const PAGE_BYTES = 4096

/** @param host its memory in bytes and its number of CPUs */
export function jobLimits(settings: HostSettings, host: { memoryBytes: number; cpus: number }): SandboxLimits {
  const memoryBytes = settings.MEMORY_LIMIT_BYTES ?? Math.floor(host.memoryBytes * MEMORY_SHARE)
  const { VOLUME_MAX_SIZE_BYTES, VOLUME_MAX_FILES, OUTPUT_MAX_SIZE_BYTES, OUTPUT_MAX_FILES } = settings
  return {
    memoryBytes,
    cpus: Math.min(settings.CPU_LIMIT ?? host.cpus, host.cpus),
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

/** Returns the sizes of the volumes for these limits. */
export function workspaceSizes(limits: SandboxLimits): WorkspaceSizes {
  const { outputBytes, tmpBytes, writableVolumeBytes, filesPerFolder } = limits
  return { outputBytes, homeBytes: tmpBytes, writableVolumeBytes, filesPerFolder }
}

/** Returns the memory that files of so many bytes in all may take: each is rounded up to whole pages. */
function inPages(bytes: number, files: number): number {
  return bytes + files * PAGE_BYTES
}
