/**
 * The limits of a job: turns a job into the options of its container. Pure, so that everything that confines a
 * stranger's job can be read and tested in one place.
 */
import { posix } from 'node:path'
import { type ContainerOptions, gpuRequest } from '@horde/engine/containers'
import { NO_COPY } from '../workspace/holder.ts'
import { environmentOf } from './environment.ts'

/** A folder that holds nothing and takes nothing. */
const EMPTY_FOLDER = 'ro,nosuid,nodev,noexec,mode=0555,size=4096,nr_inodes=1'
const TMPFS_FLAGS = 'rw,nosuid,nodev,mode=1777'

/**
 * The kernel counts these for a user in all containers and on the host together: pending signals (with timers) and the
 * bytes of POSIX queues. They are below the host's own limits (819,200 bytes of queues), so a job leaves some for
 * others.
 */
const PENDING_SIGNALS = 2_048
const QUEUE_BYTES = 409_600

export interface SandboxLimits {
  /** Memory, with /tmp and /dev/shm, and without swap. */
  memoryBytes: number
  cpus: number
  pids: number
  openFiles: number
  /** The size of /tmp, of the home, and of each folder for which the image has a volume. */
  tmpBytes: number
  shmBytes: number
  /** The size of /output. */
  outputBytes: number
  /** The size of /volume; undefined when jobs may not write to it. */
  writableVolumeBytes: number | undefined
  /** The most files and folders in each folder that a job may write to. */
  filesPerFolder: number
  /** How much a job may write to its image's own folders; undefined when it may not write there. */
  writableRootBytes: number | undefined
  /** The engine's runtime; undefined for its default. */
  runtime: string | undefined
}

export interface SandboxedJob {
  image: string
  /** The arguments, passed as they are; empty for the image's own. */
  command: readonly string[]
  /** The environment variables that the job asks for. */
  env: Readonly<Record<string, string>>
  /** Names of the volumes behind /volume and /output. */
  inputVolume: string
  outputVolume: string
  /** The path of the raw script on the engine's host; undefined when there is none. */
  scriptPath: string | undefined
  /**
   * The path on the engine's host of the file that the job has as its /etc/hostname; undefined where the job's root is
   * read-only. A job with a writable root could fill the engine's own file without being measured.
   */
  hostnamePath: string | undefined
  /** This executor's GPUs, when the job asks for them: all, or a list of ids. */
  gpus: 'all' | readonly string[] | undefined
  /** The folders that keep the image's own files, and the volumes in memory behind them. */
  imageFolders: readonly { folder: string; volume: string }[]
  /** The folder whose small files come back with the result, and the volume in memory behind it. */
  artifacts: { folder: string; volume: string } | undefined
  labels: Record<string, string>
}

/**
 * Returns the options of a job's container: no network, no capabilities, and nothing writable without a limit. Throws
 * JobFailure when the job's environment cannot be.
 */
export function containerOptions(job: SandboxedJob, limits: SandboxLimits): ContainerOptions {
  const own = nvidiaEnvironment(job.gpus)
  return {
    Image: job.image,
    ...(job.command.length > 0 ? { Cmd: [...job.command] } : {}),
    Env: [...environmentOf(job.env, own), ...own],
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
      // Without an init, a job that is PID 1 ignores its own kill signals, and its orphans are never reaped.
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
        { Name: 'fsize', Soft: largestFile(limits), Hard: largestFile(limits) },
        { Name: 'core', Soft: 0, Hard: 0 },
        { Name: 'sigpending', Soft: PENDING_SIGNALS, Hard: PENDING_SIGNALS },
        { Name: 'msgqueue', Soft: QUEUE_BYTES, Hard: QUEUE_BYTES },
      ],
      ...(limits.runtime === undefined ? {} : { Runtime: limits.runtime }),
      ...rootOptions(limits),
      ...gpuOptions(job),
      Mounts: mounts(job, limits),
    },
  }
}

function rootOptions(limits: SandboxLimits) {
  const inMemory = (bytes: number) => `${TMPFS_FLAGS},size=${bytes},nr_inodes=${limits.filesPerFolder}`
  return {
    ReadonlyRootfs: limits.writableRootBytes === undefined,
    Tmpfs: {
      // exec: OpenCL compilers and Python load code that they have just built from /tmp.
      '/tmp': `${inMemory(limits.tmpBytes)},exec`,
      // Replaces the engine's own, which has no limit on files.
      '/dev/shm': `${inMemory(limits.shmBytes)},noexec`,
      // Jobs of v2026 find this folder, empty.
      '/specs': EMPTY_FOLDER,
    },
  }
}

/** Folders in memory limit their files themselves; the limit matters on the engine's disk, behind a writable root. */
function largestFile(limits: SandboxLimits): number {
  const { tmpBytes, shmBytes, outputBytes, writableVolumeBytes = 0, writableRootBytes = 0 } = limits
  return Math.max(tmpBytes, shmBytes, outputBytes, writableVolumeBytes, writableRootBytes)
}

/**
 * Returns the options with which the engine's local driver makes a volume a limited file system in memory.
 *
 * @param mode the permissions of its root folder
 */
export function memoryVolume(bytes: number, files: number, mode = 0o1777): Record<string, string> {
  const options = ['nosuid', 'nodev', `mode=${mode.toString(8)}`, `size=${bytes}`, `nr_inodes=${files}`]
  return { type: 'tmpfs', device: 'tmpfs', o: options.join(',') }
}

function gpuOptions(job: SandboxedJob) {
  return job.gpus === undefined ? {} : { DeviceRequests: [gpuRequest(job.gpus)] }
}

/** Devices that NVIDIA's runtime would add to GPUs, InfiniBand among them, which is a network. */
const NO_OTHER_DEVICES = [
  ...['GDS', 'MOFED', 'NVSWITCH', 'GDRCOPY'].map(name => `NVIDIA_${name}=disabled`),
  'NVIDIA_IMEX_CHANNELS=void',
]

/**
 * Where NVIDIA's runtime is the engine's default, it gives a container the devices that its environment names, and
 * images name as many as they can. These variables override the image's: without GPUs the runtime gives none.
 */
function nvidiaEnvironment(gpus: SandboxedJob['gpus']): string[] {
  if (gpus === undefined) return ['NVIDIA_VISIBLE_DEVICES=void']
  return [`NVIDIA_VISIBLE_DEVICES=${gpus === 'all' ? 'all' : gpus.join(',')}`, ...NO_OTHER_DEVICES]
}

function mounts(job: SandboxedJob, limits: SandboxLimits) {
  const volume = (Source: string, Target: string, more: { ReadOnly: boolean; NoCopy?: boolean }) => {
    const { ReadOnly, NoCopy = true } = more
    return { Type: 'volume' as const, Source, Target, ReadOnly, VolumeOptions: { ...NO_COPY, NoCopy } }
  }
  const file = (Source: string, Target: string) => ({ Type: 'bind' as const, Source, Target, ReadOnly: true })
  return [
    volume(job.inputVolume, '/volume', { ReadOnly: limits.writableVolumeBytes === undefined }),
    volume(job.outputVolume, '/output', { ReadOnly: false }),
    // The engine copies the image's files into the volume, with owner and mode.
    ...job.imageFolders.map(each => volume(each.volume, each.folder, { ReadOnly: false, NoCopy: false })),
    ...(job.artifacts === undefined ? [] : [volume(job.artifacts.volume, job.artifacts.folder, { ReadOnly: false })]),
    ...(job.scriptPath === undefined ? [] : [file(job.scriptPath, '/script.py')]),
    ...(job.hostnamePath === undefined ? [] : [file(job.hostnamePath, '/etc/hostname')]),
  ]
}

/** Folders of the sandbox or the kernel. */
const OWN_FOLDERS = ['/volume', '/output', '/specs', '/script.py', '/proc', '/sys', '/dev']

/** Returns a folder's path as the engine mounts it: without empty parts, dots and a slash at its end. */
function folderPath(path: string): string {
  return posix.normalize(path).replace(/(?<=.)\/$/, '')
}

/**
 * Returns the path of the artifacts folder; undefined when it may not lie there: it must be absolute, and outside of the
 * sandbox's own folders but /tmp.
 */
export function artifactsPath(named: string): string | undefined {
  if (!named.startsWith('/') || named.includes('\0') || named.split('/').includes('..')) return undefined
  const folder = folderPath(named)
  return ['/', '/tmp'].includes(folder) || OWN_FOLDERS.some(own => isWithin(folder, own)) ? undefined : folder
}

/**
 * Returns the home folder of an image's user, to which many programs must write; undefined when the image does not name
 * it, or when it lies in a folder of the sandbox.
 */
export function homeOf(image: { user: string; env: readonly string[] }): string | undefined {
  const named = image.env.find(entry => entry.startsWith('HOME='))?.slice('HOME='.length)
  const isRoot = /^(root|0)?(:.*)?$/.test(image.user)
  const home = named ?? (isRoot ? '/root' : undefined)
  if (home === undefined || !home.startsWith('/') || home.split('/').includes('..')) return undefined
  const folder = folderPath(home)
  // A home in one of the sandbox's folders gets no volume.
  return folder === '/' || ['/tmp', ...OWN_FOLDERS].some(own => isWithin(folder, own)) ? undefined : folder
}

/**
 * Returns the folders for which an image asks for volumes, without those that the sandbox has anyway. Returns undefined
 * when one of them is the root, or lies within /volume or /output, where it would hide input or results.
 */
export function volumeFolders(volumes: readonly string[]): string[] | undefined {
  const folders = volumes.map(volume => folderPath(`/${volume}`))
  const others = folders.filter(folder => !['/tmp', '/volume', '/output', '/specs', '/dev/shm'].includes(folder))
  if (others.some(each => each === '/' || isWithin(each, '/volume') || isWithin(each, '/output'))) return undefined
  return [...new Set(others)]
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`)
}
