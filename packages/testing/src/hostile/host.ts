/** Reads the parts of the host's state that no job may change. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { EXECUTOR_LABEL } from '@horde/protocol/executor/labels'

/** Kernel settings that a hostile job would try to set. */
const SETTINGS = [
  'hostname domainname core_pattern core_uses_pid modprobe panic panic_on_oops sysrq randomize_va_space kptr_restrict',
  'dmesg_restrict perf_event_paranoid unprivileged_bpf_disabled pid_max threads-max shmmax msgmax sem modules_disabled',
].flatMap(names => names.split(' ').map(name => `/proc/sys/kernel/${name}`))
const OTHERS = [
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
/** The IPC key that the job `leaves shared memory, semaphores and queues behind` uses. */
const HOSTILE_KEY = String(0x686f7264)

const CGROUPS = '/sys/fs/cgroup'
const CONTAINER_ID = /(?:^|\/|docker-)([0-9a-f]{64})(?:\.scope)?(?:\/|$)/

/** Texts by the path of their file. */
export async function hostSettings(): Promise<Record<string, string>> {
  const paths = [...SETTINGS, ...OTHERS]
  const texts = await Promise.all(paths.map(path => readFile(path, 'utf8').catch(() => 'not to be read')))
  return Object.fromEntries(paths.map((path, at) => [path, texts[at] ?? '']))
}

/** Records the containers that executors create from the start of the watch on. */
export class ContainerWatch implements Disposable {
  readonly ids = new Set<string>()
  readonly #events: ChildProcess

  constructor() {
    const filters = ['--filter', 'event=create', '--filter', `label=${EXECUTOR_LABEL}`]
    // The engine also sends the events that came before it was ready to send.
    const since = ['--since', `${Math.floor(Date.now() / 1_000)}`]
    const args = ['events', ...since, ...filters, '--format', '{{.Actor.ID}}']
    this.#events = spawn('docker', args, { stdio: ['ignore', 'pipe', 'ignore'] })
    if (this.#events.stdout) createInterface(this.#events.stdout).on('line', id => this.ids.add(id))
  }

  [Symbol.dispose](): void {
    this.#events.kill()
  }
}

/** Returns a sentence for each removed container with processes or cgroups left, and for a job's IPC objects. */
export async function remainsOf(containers: ReadonlySet<string>): Promise<string[]> {
  const made = [...containers]
  const { stdout } = await promisify(execFile)('docker', ['ps', '--all', '--quiet', '--no-trunc'])
  const known = new Set(stdout.split('\n'))
  const left = new Set([...(await containersOfProcesses()), ...(await containersOfCgroups())])
  const orphans = made.filter(id => !known.has(id) && left.has(id))
  const ipc = await Promise.all(
    ['shm', 'sem', 'msg'].map(kind => readFile(`/proc/sysvipc/${kind}`, 'utf8').catch(() => '')),
  )
  return [
    ...orphans.map(id => `the container ${id} was removed, but processes or cgroups of it are left`),
    ...(ipc.some(text => text.includes(HOSTILE_KEY)) ? ['IPC objects of a job are left on the host'] : []),
  ]
}

/** Lists the containers that have a process. */
async function containersOfProcesses(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const texts = await Promise.all(pids.map(pid => readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')))
  return texts.flatMap(text => CONTAINER_ID.exec(text)?.[1] ?? [])
}

/** Lists the containers that have a cgroup, in any hierarchy. */
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
