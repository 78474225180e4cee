/** What holds a job on this host, as an operator wants to read it in one line. */
import type { SandboxLimits } from '../engine/sandbox.ts'
import type { HostFacts } from './host-facts.ts'

/** The mechanisms and their values: sizes in bytes, of swap `none` as the checks refuse any other host. */
export function inForce(facts: HostFacts, limits: SandboxLimits) {
  const { writableRootBytes, writableVolumeBytes, filesPerFolder } = limits
  return {
    engine: facts.version,
    runtime: limits.runtime ?? facts.defaultRuntime,
    cgroups: `v${facts.cgroupVersion}`,
    seccomp: facts.seccompProfile ?? 'none',
    mandatoryAccess: facts.mandatoryAccess ?? 'none',
    userNamespaces: facts.hasUserNamespaces,
    rootless: facts.isRootless,
    root: writableRootBytes === undefined ? 'read-only' : `writable, watched up to ${writableRootBytes}`,
    output: `in memory up to ${limits.outputBytes}`,
    volume: writableVolumeBytes === undefined ? 'read-only' : `in memory up to ${writableVolumeBytes}`,
    tmpBytes: limits.tmpBytes,
    shmBytes: limits.shmBytes,
    filesPerFolder,
    memoryBytes: limits.memoryBytes,
    cpus: limits.cpus,
    pids: limits.pids,
    openFiles: limits.openFiles,
  }
}
