/** What a job must not have changed on its host, whoever else is at work there. Read from the host itself. */
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** What a job would set first if it could. */
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
/** The key of what the job that leaves things behind makes. */
const HOSTILE_KEY = String(0x686f7264)

const CGROUPS = '/sys/fs/cgroup'
const CONTAINER_ID = /(?:^|\/|docker-)([0-9a-f]{64})(?:\.scope)?(?:\/|$)/

/** Texts by the path that they were read from. */
export async function hostSettings(): Promise<Record<string, string>> {
  const paths = [...SETTINGS, ...OTHERS]
  const texts = await Promise.all(paths.map(path => readFile(path, 'utf8').catch(() => 'not to be read')))
  return Object.fromEntries(paths.map((path, at) => [path, texts[at] ?? '']))
}

/** Sentences about what jobs left on the host although their containers are gone. */
export async function remains(): Promise<string[]> {
  const ids = async () => new Set([...(await containersOfProcesses()).values(), ...(await containersOfCgroups())])
  const seen = await ids()
  const { stdout } = await promisify(execFile)('docker', ['ps', '--all', '--quiet', '--no-trunc'])
  const known = new Set(stdout.split('\n'))
  // What went away in between was only on its way out.
  const still = await ids()
  const orphans = [...seen].filter(id => !known.has(id) && still.has(id))
  const ipc = await Promise.all(
    ['shm', 'sem', 'msg'].map(kind => readFile(`/proc/sysvipc/${kind}`, 'utf8').catch(() => '')),
  )
  return [
    ...orphans.map(id => `of the container ${id}, which is gone, processes or cgroups are left`),
    ...(ipc.some(text => text.includes(HOSTILE_KEY)) ? ['what a job made for IPC is on the host'] : []),
  ]
}

/** By pid: the container that a process belongs to. */
async function containersOfProcesses(): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    const id = CONTAINER_ID.exec(await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => ''))?.[1]
    if (id !== undefined) found.set(pid, id)
  }
  return found
}

/** The containers that have a cgroup, in any hierarchy. */
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
