/** Names this executor on its host, so that the next one recognises what it left when it was killed. */
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** The label with the uuid of the job for which a container or volume was created. */
export const JOB_LABEL = 'compute-horde.job'
/** The value of that label on what was created before the job was known. */
export const NO_JOB_YET = 'none-yet'

/**
 * An executor is named by its process (machine, boot, pid namespace, pid, start time), or, when it lives in a
 * container, by that container: pids mean nothing across pid namespaces.
 */
export type Identity =
  | { kind: 'process'; machine: string; boot: string; namespace: string; pid: number; started: string }
  | { kind: 'container'; id: string }

/** Returns the identity of this process. */
export function ownIdentity(): Identity {
  const id = ownContainerId()
  if (id !== undefined) return { kind: 'container', id }
  return {
    kind: 'process',
    machine: firstLine('/etc/machine-id') || hostname(),
    boot: firstLine('/proc/sys/kernel/random/boot_id'),
    namespace: pidNamespace(),
    pid: process.pid,
    started: startTimeOf(process.pid) ?? '',
  }
}

/** Returns an identity as a label's value. */
export function identityText(identity: Identity): string {
  if (identity.kind === 'container') return `container/${identity.id}`
  const { machine, boot, namespace, pid, started } = identity
  return ['process', machine, boot, namespace, pid, started].join('/')
}

/** Returns the identity in a label's value; undefined for any other value. */
export function parseIdentity(text: string): Identity | undefined {
  const parts = text.split('/')
  const [kind, ...rest] = parts
  if (kind === 'container' && rest.length === 1 && rest[0]) return { kind, id: rest[0] }
  const [machine = '', boot = '', namespace = '', pid = '', started = ''] = rest
  if (kind !== 'process' || rest.length !== 5 || !/^\d+$/.test(pid)) return undefined
  return { kind, machine, boot, namespace, pid: Number(pid), started }
}

/**
 * Whether the process with this identity is certainly gone. An executor on another machine, or in another pid namespace
 * of this boot, cannot be checked from here and counts as alive.
 */
export function isDeadProcess(other: Identity & { kind: 'process' }, self: Identity): boolean {
  const here = self.kind === 'process' ? self : undefined
  if (here === undefined || other.machine !== here.machine) return false
  if (other.boot !== here.boot) return true
  if (other.namespace !== here.namespace) return false
  const started = startTimeOf(other.pid)
  return started === undefined ? !mayExist(other.pid) : started !== other.started
}

/** Whether there may be a process with this pid: /proc can be mounted so that it hides the processes of other users. */
function mayExist(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

/** Returns when a process started, in clock ticks since boot; undefined when no process with this pid is visible. */
export function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field, the name, may hold spaces and parentheses. Field 22 is the start time.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[22 - 3]
  } catch {
    return undefined
  }
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')
  } catch {
    return ''
  }
}

/** The engine mounts a container's hostname file from a folder whose name is the container's id. */
function ownContainerId(): string | undefined {
  try {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    return /\/containers\/([0-9a-f]{64})\/hostname \/etc\/hostname /.exec(mounts)?.[1]
  } catch {
    return undefined
  }
}

function firstLine(path: string): string {
  try {
    return readFileSync(path, 'utf8').split('\n')[0]?.trim() ?? ''
  } catch {
    return ''
  }
}
