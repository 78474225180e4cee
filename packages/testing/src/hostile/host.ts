/** Reads from the host what a job must not have changed there. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { EXECUTOR_LABEL } from '@horde/protocol/executor/labels'

/** The host settings that a hostile job is most likely to change. */
const KERNEL_SETTINGS = [
  'hostname domainname core_pattern core_uses_pid modprobe panic panic_on_oops sysrq randomize_va_space kptr_restrict',
  'dmesg_restrict perf_event_paranoid unprivileged_bpf_disabled pid_max threads-max shmmax msgmax sem modules_disabled',
].flatMap(names => names.split(' ').map(name => `/proc/sys/kernel/${name}`))
const OTHER_SETTINGS = [
  '/proc/sys/vm/overcommit_memory',
  '/proc/sys/vm/mmap_min_addr',
  '/proc/sys/fs/suid_dumpable',
  '/proc/sys/fs/protected_symlinks',
  '/proc/sys/fs/protected_hardlinks',
  '/proc/sys/fs/binfmt_misc/status',
  '/proc/sys/net/ipv4/ip_forward',
  '/proc/swaps',
  '/sys/kernel/uevent_helper',
  '/sys/fs/cgroup/memory/release_agent',
  '/etc/passwd',
  '/etc/shadow',
]
/** The System V IPC key that the hostile jobs use. */
const HOSTILE_KEY = String(0x686f7264)

const CGROUPS = '/sys/fs/cgroup'
const CONTAINER_ID = /(?:^|\/|docker-)([0-9a-f]{64})(?:\.scope)?(?:\/|$)/

/** Returns the host's settings as texts by path. */
export async function hostSettings(): Promise<Record<string, string>> {
  const paths = [...KERNEL_SETTINGS, ...OTHER_SETTINGS]
  const texts = await Promise.all(paths.map(path => readFile(path, 'utf8').catch(() => 'not readable')))
  return Object.fromEntries(paths.map((path, at) => [path, texts[at] ?? '']))
}

/** Collects the ids of the containers that executors create until it is disposed of. */
export class ContainerWatch implements Disposable {
  readonly ids = new Set<string>()
  readonly #events: ChildProcess

  constructor() {
    const filters = ['--filter', 'event=create', '--filter', `label=${EXECUTOR_LABEL}`]
    // With --since the engine also reports what happened before it accepted this command.
    const since = ['--since', `${Math.floor(Date.now() / 1_000)}`]
    const args = ['events', ...since, ...filters, '--format', '{{.Actor.ID}}']
    this.#events = spawn('docker', args, { stdio: ['ignore', 'pipe', 'ignore'] })
    if (this.#events.stdout) createInterface(this.#events.stdout).on('line', id => this.ids.add(id))
  }

  [Symbol.dispose](): void {
    this.#events.kill()
  }
}

/** Returns a sentence for each of these containers that is removed but still has processes or cgroups, and for IPC. */
export async function orphansOnHost(containers: ReadonlySet<string>): Promise<string[]> {
  const { stdout } = await promisify(execFile)('docker', ['ps', '--all', '--quiet', '--no-trunc'])
  const existing = new Set(stdout.split('\n'))
  const inUse = new Set([...(await containersOfProcesses()), ...(await containersOfCgroups())])
  const orphans = [...containers].filter(id => !existing.has(id) && inUse.has(id))
  const ipc = await Promise.all(
    ['shm', 'sem', 'msg'].map(kind => readFile(`/proc/sysvipc/${kind}`, 'utf8').catch(() => '')),
  )
  return [
    ...orphans.map(id => `container ${id} is removed, but has processes or cgroups`),
    ...(ipc.some(text => text.includes(HOSTILE_KEY)) ? ["a job's IPC objects are on the host"] : []),
  ]
}

/** Returns the ids of the containers that running processes belong to. */
async function containersOfProcesses(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const texts = await Promise.all(pids.map(pid => readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')))
  return texts.flatMap(text => CONTAINER_ID.exec(text)?.[1] ?? [])
}

/** Returns the ids of the containers that have a cgroup, in any hierarchy. */
export async function containersOfCgroups(folder = CGROUPS, depth = 4): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const below = entries
    .filter(entry => entry.isDirectory())
    .map(async ({ name }) => {
      const id = CONTAINER_ID.exec(name)?.[1]
      if (id !== undefined) return [id]
      return depth === 1 ? [] : containersOfCgroups(join(folder, name), depth - 1)
    })
  return (await Promise.all(below)).flat()
}
