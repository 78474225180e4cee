/** Counts what jobs may leak on a host: a soak compares these figures before and after. */
import { execFile } from 'node:child_process'
import { readdir, readFile, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { EXECUTOR_LABEL } from '@horde/protocol/executor/labels'
import { containersOfCgroups } from '@horde/testing/hostile/host'
import { containersWith, volumesWith } from '@horde/testing/local-engine'
import { isDeadProcess, ownIdentity, parseIdentity } from '../../packages/executor/src/workspace/identity.ts'
import { FOLDER_PREFIX } from '../../packages/executor/src/workspace/orphans.ts'

const MIB = 1024 * 1024
/** Where the engine keeps the network namespaces of containers. */
const NETWORK_NAMESPACES = '/run/docker/netns'
const PROCESSES = ['dockerd', 'containerd'] as const

/** Lacks the figures that could not be read. */
export type Figures = Partial<Record<FigureName, number>>
type FigureName = keyof typeof FIGURES

interface Limit {
  /** How much the figure may grow without a leak. */
  growth: number
  /** Whether the figure counts only what this run made. */
  own?: true
}

export const FIGURES = {
  'processes of executors': { growth: 0, own: true },
  'containers of dead executors': { growth: 0, own: true },
  'volumes of dead executors': { growth: 0, own: true },
  'folders of executors': { growth: 0 },
  containers: { growth: 0 },
  volumes: { growth: 0 },
  images: { growth: 0 },
  mounts: { growth: 0 },
  'cgroups of containers': { growth: 0 },
  'network namespaces': { growth: 0 },
  'folders of containers': { growth: 0 },
  'container shims': { growth: 0 },
  'shared memory, MiB': { growth: 0 },
  'System V IPC objects': { growth: 0 },
  'open files of dockerd': { growth: 10 },
  'open files of containerd': { growth: 10 },
  'threads of dockerd': { growth: 20 },
  'threads of containerd': { growth: 20 },
  'memory of dockerd, MiB': { growth: 64 },
  'memory of containerd, MiB': { growth: 32 },
  "used on the engine's disk, MiB": { growth: 64 },
  "files on the engine's disk": { growth: 2_000 },
} satisfies Record<string, Limit>

export async function readFigures(): Promise<Figures> {
  // Reads these first, because the other readers start processes that would be counted here.
  const own = await ownFigures()
  const parts = await Promise.all([own, engineFigures(), hostFigures(), ...PROCESSES.map(processFigures)])
  return Object.assign({}, ...parts)
}

/** Returns the figures that grew beyond their limit. With `shared`, considers only what this run made. */
export function grown(before: Figures, after: Figures, shared: boolean): FigureName[] {
  return (Object.keys(FIGURES) as FigureName[]).filter(name => {
    const { growth, own }: Limit = FIGURES[name]
    return (own || !shared) && (after[name] ?? 0) - (before[name] ?? 0) > growth
  })
}

async function ownFigures(): Promise<Figures> {
  const self = ownIdentity()
  const isDead = ({ labels }: { labels: Record<string, string> }) => {
    const other = parseIdentity(labels[EXECUTOR_LABEL] ?? '')
    return other?.kind === 'process' && isDeadProcess(other, self)
  }
  const [containers, volumes, children] = await Promise.all([
    containersWith(EXECUTOR_LABEL),
    volumesWith(EXECUTOR_LABEL),
    readFile(`/proc/self/task/${process.pid}/children`, 'utf8').catch(() => ''),
  ])
  return {
    'processes of executors': children.split(' ').filter(Boolean).length,
    'containers of dead executors': containers.filter(isDead).length,
    'volumes of dead executors': volumes.filter(isDead).length,
  }
}

async function engineFigures(): Promise<Figures> {
  const [containers, volumes, images, folder] = await Promise.all([
    docker('ps', '--all', '--quiet'),
    docker('volume', 'ls', '--quiet'),
    docker('image', 'ls', '--all', '--quiet'),
    docker('info', '--format', '{{.DockerRootDir}}'),
  ])
  const root = folder[0] ?? '/'
  const disk = await statfs(root).catch(() => undefined)
  return {
    containers: containers.length,
    volumes: volumes.length,
    images: images.length,
    ...(await count('folders of containers', join(root, 'containers'))),
    ...(disk && {
      "used on the engine's disk, MiB": Math.round(((disk.blocks - disk.bfree) * disk.bsize) / MIB),
      "files on the engine's disk": disk.files - disk.ffree,
    }),
  }
}

async function hostFigures(): Promise<Figures> {
  const [mounts, cgroups, shims, shm, ipc, folders] = await Promise.all([
    readFile('/proc/self/mountinfo', 'utf8'),
    containersOfCgroups(),
    pidsOf('containerd-shim'),
    statfs('/dev/shm'),
    Promise.all(['shm', 'sem', 'msg'].map(kind => readFile(`/proc/sysvipc/${kind}`, 'utf8').catch(() => ''))),
    readdir(tmpdir()),
  ])
  return {
    mounts: mounts.trim().split('\n').length,
    'cgroups of containers': cgroups.length,
    'container shims': shims.length,
    'shared memory, MiB': Math.round(((shm.blocks - shm.bfree) * shm.bsize) / MIB),
    'System V IPC objects': ipc.join('').split('\n').length,
    'folders of executors': folders.filter(name => name.startsWith(FOLDER_PREFIX)).length,
    ...(await count('network namespaces', NETWORK_NAMESPACES)),
  }
}

/** Returns the figures of all processes with this name together. */
async function processFigures(name: (typeof PROCESSES)[number]): Promise<Figures> {
  const pids = await pidsOf(name)
  const files = await Promise.all(pids.map(pid => readdir(`/proc/${pid}/fd`).catch(() => undefined)))
  const texts = await Promise.all(pids.map(pid => readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')))
  const sum = (field: RegExp) => texts.reduce((total, text) => total + Number(field.exec(text)?.[1] ?? 0), 0)
  return {
    ...(files.includes(undefined) ? {} : { [`open files of ${name}`]: files.flat().length }),
    [`threads of ${name}`]: sum(/^Threads:\s+(\d+)/m),
    [`memory of ${name}, MiB`]: Math.round(sum(/^VmRSS:\s+(\d+)/m) / 1024),
  }
}

/** Returns the processes with this name that are not zombies. */
async function pidsOf(name: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter(pid => /^\d+$/.test(pid))
  const stats = await Promise.all(pids.map(pid => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')))
  return pids.filter((_, at) => stats[at]?.includes(` (${name}) `) && !stats[at]?.includes(`(${name}) Z`))
}

async function count(name: FigureName, folder: string): Promise<Figures> {
  const entries = await readdir(folder).catch(() => undefined)
  return entries === undefined ? {} : { [name]: entries.length }
}

async function docker(...args: string[]): Promise<string[]> {
  const { stdout } = await promisify(execFile)('docker', args)
  return stdout.split('\n').filter(Boolean)
}
