/**
 * The limits that a job lives under: a job in, the container's options out. Pure, so that what holds a stranger's job
 * can be read, and tested, in one place.
 */
import type { ContainerOptions } from './container.ts'

const TMPFS_FLAGS = 'rw,exec,nosuid,nodev,mode=1777'

export interface SandboxLimits {
  /** Memory without any swap beyond it, /tmp and /dev/shm included. */
  memoryBytes: number
  cpus: number
  pids: number
  openFiles: number
  tmpBytes: number
  shmBytes: number
  /** The largest file that a job may write, anywhere. */
  fileBytes: number
  writableRoot: boolean
  /** The engine's runtime; undefined: its default. */
  runtime: string | undefined
}

export interface SandboxedJob {
  image: string
  /** The arguments, passed as they are; empty: the image's own. */
  command: readonly string[]
  /** Names of the volumes behind /volume and /output. */
  inputVolume: string
  outputVolume: string
  /** Where the engine keeps the raw script on its host; undefined when there is none. */
  scriptPath: string | undefined
  /** This executor's GPUs, when the job asks for them: all, or their ids. */
  gpus: 'all' | readonly string[] | undefined
  /** The home folder of the image's user; undefined when it is not known. */
  home: string | undefined
  labels: Record<string, string>
}

/** What the engine is asked for: a container without network, capabilities, or anything to write to beyond its bounds. */
export function containerOptions(job: SandboxedJob, limits: SandboxLimits): ContainerOptions {
  return {
    Image: job.image,
    ...(job.command.length > 0 ? { Cmd: [...job.command] } : {}),
    Env: [`NVIDIA_VISIBLE_DEVICES=${visibleDevices(job.gpus)}`],
    Labels: job.labels,
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    OpenStdin: false,
    Tty: false,
    NetworkDisabled: true,
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      NetworkMode: 'none',
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      IpcMode: 'private',
      CgroupnsMode: 'private',
      // Without an init, a job that is PID 1 outlives its own kill signals, and its orphans are never reaped.
      Init: true,
      // The job's output goes through the attached stream only: the json-file driver corrupts what is not UTF-8.
      LogConfig: { Type: 'none', Config: {} },
      RestartPolicy: { Name: 'no' },
      Memory: limits.memoryBytes,
      MemorySwap: limits.memoryBytes,
      NanoCpus: Math.round(limits.cpus * 1e9),
      PidsLimit: limits.pids,
      ShmSize: limits.shmBytes,
      Ulimits: [
        { Name: 'nofile', Soft: limits.openFiles, Hard: limits.openFiles },
        { Name: 'fsize', Soft: limits.fileBytes, Hard: limits.fileBytes },
        { Name: 'core', Soft: 0, Hard: 0 },
      ],
      ...(limits.runtime === undefined ? {} : { Runtime: limits.runtime }),
      ...rootOptions(job, limits),
      ...gpuOptions(job),
      Mounts: mounts(job),
    },
  }
}

function rootOptions(job: SandboxedJob, limits: SandboxLimits) {
  if (limits.writableRoot) return { ReadonlyRootfs: false }
  // exec: OpenCL compilers and Python load the code that they have just built from /tmp.
  const tmpfs = `${TMPFS_FLAGS},size=${limits.tmpBytes}`
  const home = job.home !== undefined && job.home !== '/tmp' ? { [job.home]: tmpfs } : {}
  return { ReadonlyRootfs: true, Tmpfs: { '/tmp': tmpfs, ...home } }
}

function gpuOptions(job: SandboxedJob) {
  return job.gpus === undefined ? {} : { DeviceRequests: [gpuRequest(job.gpus)] }
}

/** Where NVIDIA's runtime is the engine's default it gives a container what its environment names, and images name all. */
function visibleDevices(gpus: SandboxedJob['gpus']): string {
  if (gpus === undefined) return 'void'
  return gpus === 'all' ? 'all' : gpus.join(',')
}

/** What asks the engine for GPUs, in the words of `docker run --gpus`. */
export function gpuRequest(gpus: 'all' | readonly string[]) {
  const which = gpus === 'all' ? { Count: -1 } : { DeviceIDs: [...gpus] }
  return { Driver: 'nvidia', ...which, Capabilities: [['gpu']] }
}

function mounts(job: SandboxedJob) {
  const volume = (Source: string, Target: string, ReadOnly: boolean) => {
    return { Type: 'volume' as const, Source, Target, ReadOnly, VolumeOptions: { ...NO_COPY } }
  }
  return [
    volume(job.inputVolume, '/volume', true),
    volume(job.outputVolume, '/output', false),
    ...(job.scriptPath === undefined
      ? []
      : [{ Type: 'bind' as const, Source: job.scriptPath, Target: '/script.py', ReadOnly: true }]),
  ]
}

/** What an image has under a mount point stays hidden: /output begins empty. */
export const NO_COPY = { NoCopy: true, Labels: {}, DriverConfig: { Name: '', Options: {} } }

/**
 * The home folder of an image's user, where programs insist on writing; undefined when the image does not tell, or
 * when it is no folder of its own.
 */
export function homeOf(image: { user: string; env: readonly string[] }): string | undefined {
  const told = image.env.find(entry => entry.startsWith('HOME='))?.slice('HOME='.length)
  const isRoot = /^(root|0)?(:.*)?$/.test(image.user)
  const home = told ?? (isRoot ? '/root' : undefined)
  return home !== undefined && /^\/[^/].*/.test(home) && !home.split('/').includes('..') ? home : undefined
}
