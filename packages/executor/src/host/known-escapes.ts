/**
 * Known ways out of a container that matter for strangers' jobs: the versions that have them, and whether they work
 * from within this sandbox. Flaws that need what the sandbox never gives (capabilities, a network, containers that
 * share files) are left out, or count as `possible` where the engine itself may give it.
 */
import type { HostFacts } from './host-facts.ts'
import { compareVersions, isFixed, parseVersion, type Version } from './versions.ts'

/** `possible`: it cannot be seen from here, since distributions fix flaws without a new version number. */
export type Likelihood = 'certain' | 'possible' | 'no'

export interface EscapeContext {
  facts: HostFacts
  /** The engine's runtime for jobs. */
  runtime: string
  /** Whether this executor has GPUs to give. */
  hasGpus: boolean
}

interface Flaw {
  cve: string
  part: 'kernel' | 'runc' | 'nvidia-container-toolkit'
  /** The first version that has it; undefined when all older ones have it. */
  since?: string
  /** The first fixed version of each branch, the newest branch first. */
  fixed: readonly string[]
  /** What a job could do: completes the sentence `a job could …`. */
  does: string
  /** Returns whether it works from within the sandbox on a host that has it. */
  works(context: EscapeContext): Likelihood
}

export const KNOWN_ESCAPES: readonly Flaw[] = [
  {
    cve: 'CVE-2022-0492',
    part: 'kernel',
    fixed: ['5.17', '5.16.6', '5.15.20', '5.10.97', '5.4.177', '4.19.229', '4.14.266', '4.9.301'],
    does: 'have the kernel run a program on the host through release_agent of cgroup v1',
    // It needs its own user namespace to mount a hierarchy: seccomp, AppArmor and SELinux each forbid that.
    works: ({ facts }) =>
      facts.cgroupVersion === '1' && facts.seccompProfile === undefined && facts.mandatoryAccess === undefined
        ? 'certain'
        : 'no',
  },
  {
    cve: 'CVE-2022-0847',
    part: 'kernel',
    since: '5.8',
    fixed: ['5.17', '5.16.11', '5.15.25', '5.10.102'],
    does: 'write into files that it may only read, the host runtime among them (Dirty Pipe)',
    works: () => 'certain',
  },
  {
    cve: 'CVE-2019-5736',
    part: 'runc',
    fixed: ['1.0.0-rc7'],
    does: "overwrite the host's runc through /proc/self/exe",
    works: ({ facts }) => (facts.hasUserNamespaces ? 'no' : 'certain'),
  },
  {
    cve: 'CVE-2024-21626',
    part: 'runc',
    since: '1.0.0-rc93',
    fixed: ['1.1.12'],
    does: "work in a folder of the host, by an image's WORKDIR in /proc/self/fd",
    works: () => 'certain',
  },
  // Each of these three wins a race against runc from a second container that shares a volume with the new one; jobs
  // share no volumes.
  {
    cve: 'CVE-2025-31133',
    part: 'runc',
    fixed: ['1.4.0-rc.3', '1.3.3', '1.2.8'],
    does: 'have a file of the host mounted in place of /dev/null, while its container is created',
    works: () => 'possible',
  },
  {
    cve: 'CVE-2025-52565',
    part: 'runc',
    since: '1.0.0-rc3',
    fixed: ['1.4.0-rc.3', '1.3.3', '1.2.8'],
    does: 'have a file of the host mounted in place of /dev/console, while its container is created',
    works: () => 'possible',
  },
  {
    cve: 'CVE-2025-52881',
    part: 'runc',
    fixed: ['1.4.0-rc.3', '1.3.3', '1.2.8'],
    does: 'have runc write to files of /proc that it did not mean, while its container is created',
    works: () => 'possible',
  },
  {
    cve: 'CVE-2024-0132',
    part: 'nvidia-container-toolkit',
    fixed: ['1.16.2'],
    does: "have the host's files mounted into its container",
    works: () => 'certain',
  },
  {
    cve: 'CVE-2025-23359',
    part: 'nvidia-container-toolkit',
    fixed: ['1.17.4'],
    does: "have the host's files mounted into its container, as by CVE-2024-0132",
    works: () => 'certain',
  },
  {
    cve: 'CVE-2025-23266',
    part: 'nvidia-container-toolkit',
    fixed: ['1.17.8'],
    does: "have its own library loaded into NVIDIA's hook on the host",
    // NVIDIA's runtime adds this hook; the engine's own request for GPUs does not.
    works: ({ runtime }) => (isNvidia(runtime) ? 'certain' : 'possible'),
  },
]

/** Returns whether a job could use a flaw on this host. */
export function likelihoodOf(flaw: Flaw, context: EscapeContext): Likelihood {
  const has = isIn(flaw, context)
  const works = has === 'no' ? 'no' : flaw.works(context)
  if (has === 'no' || works === 'no') return 'no'
  return has === 'certain' && works === 'certain' ? 'certain' : 'possible'
}

function isIn(flaw: Flaw, context: EscapeContext): Likelihood {
  const { facts, runtime, hasGpus } = context
  switch (flaw.part) {
    case 'kernel':
      return hasOwnKernel(context) ? 'no' : inKernel(flaw, facts)
    case 'runc':
      return usesRunc(context) && !facts.fixedInRunc.includes(flaw.cve) ? inRunc(flaw, facts.runc) : 'no'
    case 'nvidia-container-toolkit':
      return hasGpus || isNvidia(runtime) ? inVersion(flaw, parseVersion(facts.nvidiaToolkit ?? ''), true) : 'no'
  }
}

/** A plain upstream version is certain; a distribution's kernel may have the fix under an older number. */
function inKernel(flaw: Flaw, { kernel, kernelBuilds }: HostFacts): Likelihood {
  const all = [kernel, ...kernelBuilds].map(text => inVersion(flaw, parseVersion(text), /^\d+\.\d+\.\d+$/.test(text)))
  if (all.includes('no')) return 'no'
  return kernelBuilds.length === 0 && all[0] === 'certain' ? 'certain' : 'possible'
}

/** Docker's packages hold runc's own releases, whose build names the tag: `v1.1.12-0-g51d5e94`. */
function inRunc(flaw: Flaw, { version, build }: HostFacts['runc']): Likelihood {
  const isUpstream = /^v\d+\.\d+\.\d+(-rc\.?\d+)?-0-g[0-9a-f]+$/.test(build)
  const shown = isUpstream ? build.replace(/-0-g[0-9a-f]+$/, '') : version || build
  return inVersion(flaw, parseVersion(shown), isUpstream)
}

function inVersion(flaw: Flaw, version: Version | undefined, isCertain: boolean): Likelihood {
  if (version === undefined) return 'no'
  const first = parseVersion(flaw.since ?? '0')
  if (first && compareVersions(version, first) < 0) return 'no'
  if (isFixed(version, flaw.fixed)) return 'no'
  return isCertain ? 'certain' : 'possible'
}

/** Returns the parts that matter on this host and do not report their version: their flaws are unknown. */
export function unknownParts(context: EscapeContext): string[] {
  const { facts, runtime, hasGpus } = context
  const isRuncUnknown =
    usesRunc(context) && [facts.runc.version, facts.runc.build].every(text => parseVersion(text) === undefined)
  const isToolkitUnknown = (hasGpus || isNvidia(runtime)) && parseVersion(facts.nvidiaToolkit ?? '') === undefined
  return [...(isRuncUnknown ? ['runc'] : []), ...(isToolkitUnknown ? ['nvidia-container-toolkit'] : [])]
}

/** Whether the runtime has its own kernel between the job and the host's, as gVisor and Kata have. */
export function hasOwnKernel({ facts, runtime }: EscapeContext): boolean {
  return /runsc|kata/.test(`${runtime} ${facts.runtimes[runtime] ?? ''}`)
}

/** Whether containers are started by runc, which NVIDIA's runtime also uses. */
function usesRunc({ facts, runtime }: EscapeContext): boolean {
  const program = facts.runtimes[runtime] || runtime
  return /(^|\/)runc$|\.runc\.|^nvidia|\/nvidia-container-runtime/.test(program)
}

function isNvidia(runtime: string): boolean {
  return runtime.startsWith('nvidia')
}
