/** The limits in force for a job on this host, as one log line for the operator. */
import type { SandboxLimits } from '../container/sandbox.ts'
import type { HostFacts } from './host-facts.ts'

/**
 * Returns the mechanisms and their values, sizes in bytes. Swap is not among them: the checks refuse a host that gives
 * jobs any.
 */
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
