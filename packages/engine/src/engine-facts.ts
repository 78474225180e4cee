/** What an engine reports about itself and its host. */

/** The fields of the Engine API's /info that are read. An engine may leave out any of them. */
export interface EngineInfo {
  ServerVersion?: string
  OSType?: string
  KernelVersion?: string
  OperatingSystem?: string
  Architecture?: string
  MemTotal?: number
  NCPU?: number
  DockerRootDir?: string
  CgroupVersion?: string
  CgroupDriver?: string
  MemoryLimit?: boolean
  SwapLimit?: boolean
  PidsLimit?: boolean
  CpuCfsQuota?: boolean
  SecurityOptions?: string[] | null
  Runtimes?: Record<string, { path?: string }> | null
  DefaultRuntime?: string
  RuncCommit?: { ID?: string }
  DiscoveredDevices?: { ID?: string }[] | null
}

/** The fields of the Engine API's /version that are read. */
export interface EngineVersion {
  ApiVersion?: string
  Components?: { Name: string; Version: string }[] | null
}

export interface EngineFacts {
  version: string
  /** The version of its API, such as 1.41. */
  apiVersion: string
  /** linux, or windows. */
  system: string
  /** As `uname -r` prints it. */
  kernel: string
  machine: string
  memoryBytes: number
  cpus: number
  /** Where it keeps images and containers on its host. */
  dataFolder: string
  /** 1 or 2. */
  cgroupVersion: string
  /** The driver of cgroups: cgroupfs, systemd or none; empty when the engine does not report it. */
  cgroupDriver: string
  /** The limits, except swap, that it does not report as supported. */
  missingLimits: string[]
  /** Whether it can keep a container from swap. */
  hasSwapLimit: boolean
  /** The seccomp profile of containers: default, builtin or a file; undefined for none. */
  seccompProfile: string | undefined
  /** AppArmor or SELinux, where one confines containers. */
  mandatoryAccess: 'apparmor' | 'selinux' | undefined
  /** Whether containers have users of their own, so that their root is an unprivileged user on the host. */
  hasUserNamespaces: boolean
  /** Whether the engine itself runs without root. */
  isRootless: boolean
  /** Its runtimes by name, each with its program; empty where that is not reported. */
  runtimes: Record<string, string>
  defaultRuntime: string
  /** The version and build of runc; empty where they are not reported. */
  runc: { version: string; build: string }
  /** Whether it reports an NVIDIA runtime or NVIDIA devices. */
  reportsNvidia: boolean
}

const UNCONFINED = 'unconfined'

/** Returns the facts in the engine's answers. */
export function engineFacts(info: EngineInfo, version: EngineVersion): EngineFacts {
  const limits = { memory: info.MemoryLimit, pids: info.PidsLimit, cpus: info.CpuCfsQuota }
  const security = (info.SecurityOptions ?? []).map(parseOption)
  const has = (name: string) => security.some(option => option.name === name)
  const seccomp = security.find(({ name }) => name === 'seccomp')
  const profile = seccomp && (seccomp.profile ?? 'default')
  const runtimes = Object.entries(info.Runtimes ?? {}).map(([name, { path }]) => [name, path ?? ''])
  return {
    version: info.ServerVersion ?? '',
    apiVersion: version.ApiVersion ?? '',
    system: info.OSType ?? '',
    kernel: info.KernelVersion ?? '',
    machine: info.Architecture ?? '',
    memoryBytes: info.MemTotal ?? 0,
    cpus: info.NCPU ?? 0,
    dataFolder: info.DockerRootDir ?? '',
    // Engines without support for cgroup v2 leave the version out.
    cgroupVersion: info.CgroupVersion || '1',
    cgroupDriver: info.CgroupDriver ?? '',
    missingLimits: Object.entries(limits).flatMap(([name, holds]) => (holds === true ? [] : [name])),
    hasSwapLimit: info.SwapLimit === true,
    seccompProfile: profile === UNCONFINED ? undefined : profile,
    mandatoryAccess: has('apparmor') ? 'apparmor' : has('selinux') ? 'selinux' : undefined,
    hasUserNamespaces: has('userns'),
    isRootless: has('rootless'),
    runtimes: Object.fromEntries(runtimes),
    defaultRuntime: info.DefaultRuntime ?? '',
    runc: {
      version: version.Components?.find(({ Name }) => Name === 'runc')?.Version ?? '',
      build: info.RuncCommit?.ID ?? '',
    },
    reportsNvidia: 'nvidia' in (info.Runtimes ?? {}) || hasNvidiaDevices(info),
  }
}

/** Parses one of the engine's security options: `name=seccomp,profile=default`. */
function parseOption(text: string): { name: string; profile: string | undefined } {
  const fields = new Map(text.split(',').map(part => [part.split('=', 1)[0], part.slice(part.indexOf('=') + 1)]))
  return { name: fields.get('name') ?? text, profile: fields.get('profile') }
}

function hasNvidiaDevices({ DiscoveredDevices }: EngineInfo): boolean {
  return (DiscoveredDevices ?? []).some(({ ID }) => ID?.startsWith('nvidia.com/gpu'))
}
