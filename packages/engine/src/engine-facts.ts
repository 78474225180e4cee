/** What an engine says about itself and its host, in the words that this package needs. */

/** The parts of the Engine API's /info that are looked at. What is missing was not told. */
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

/** The parts of the Engine API's /version that are looked at. */
export interface EngineVersion {
  ApiVersion?: string
  Components?: { Name: string; Version: string }[] | null
}

export interface EngineFacts {
  version: string
  /** Of its API: 1.41. */
  apiVersion: string
  /** linux, or windows. */
  system: string
  /** In the words of uname. */
  kernel: string
  machine: string
  memoryBytes: number
  cpus: number
  /** Where it keeps images and containers on its host. */
  dataFolder: string
  /** 1 or 2. */
  cgroupVersion: string
  /** What makes the cgroups of containers: cgroupfs, systemd or none; empty where that is not told. */
  cgroupDriver: string
  /** The limits that it does not say it can enforce, but for swap. */
  missingLimits: string[]
  /** Whether it can keep a container from swap. */
  hasSwapLimit: boolean
  /** The seccomp profile that containers get: default, builtin, a file; undefined: none. */
  seccompProfile: string | undefined
  /** AppArmor or SELinux, where containers are confined by one. */
  mandatoryAccess: 'apparmor' | 'selinux' | undefined
  /** Whether it gives containers users of their own: their root is nobody on the host. */
  hasUserNamespaces: boolean
  /** Whether the engine itself is not root. */
  isRootless: boolean
  /** The names of its runtimes, each with its program, where that is told. */
  runtimes: Record<string, string>
  defaultRuntime: string
  /** The version of runc, and what names its build; empty where they are not told. */
  runc: { version: string; build: string }
  /** Whether it tells of an NVIDIA runtime or of NVIDIA devices. */
  tellsOfNvidia: boolean
}

const UNCONFINED = 'unconfined'

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
    // Engines that know of no second version do not tell.
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
    tellsOfNvidia: 'nvidia' in (info.Runtimes ?? {}) || hasNvidiaDevices(info),
  }
}

/** `name=seccomp,profile=default`, as the engine writes its security options. */
function parseOption(text: string): { name: string; profile: string | undefined } {
  const fields = new Map(text.split(',').map(part => [part.split('=', 1)[0], part.slice(part.indexOf('=') + 1)]))
  return { name: fields.get('name') ?? text, profile: fields.get('profile') }
}

function hasNvidiaDevices({ DiscoveredDevices }: EngineInfo): boolean {
  return (DiscoveredDevices ?? []).some(({ ID }) => ID?.startsWith('nvidia.com/gpu'))
}
