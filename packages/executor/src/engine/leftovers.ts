/** Removes what executors left behind that were killed before they could do so themselves. */
import { readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Log } from '@horde/kit/log'
import type { Engine, Labelled } from './container.ts'
import { EXECUTOR_LABEL, type Identity, isDeadProcess, parseIdentity } from './identity.ts'

/** What the name of an executor's folder begins with; its pid namespace, pid and start time follow. */
export const FOLDER_PREFIX = 'compute-horde-executor'

/** The name of an executor's folder, up to what makes it unique. */
export function folderName(self: Identity): string {
  if (self.kind === 'container') return `${FOLDER_PREFIX}-container-`
  return `${FOLDER_PREFIX}-${self.namespace}-${self.pid}-${self.started}-`
}

/** Removes the containers, volumes and folders of dead executors of this host, and only theirs. */
export async function sweepLeftovers(engine: Engine, self: Identity, log: Log): Promise<void> {
  const dead = deathRegister(engine, self)
  const [containers, volumes] = await Promise.all([
    engine.containersWith(EXECUTOR_LABEL),
    engine.volumesWith(EXECUTOR_LABEL),
  ])
  const removed = { containers: 0, volumes: 0, folders: 0 }
  for (const each of containers) {
    if (!(await dead(each))) continue
    await engine.removeContainer(each.id)
    removed.containers += 1
  }
  for (const each of volumes) {
    if (!(await dead(each))) continue
    await engine.removeVolume(each.id)
    removed.volumes += 1
  }
  removed.folders = await sweepFolders(self)
  const count = removed.containers + removed.volumes + removed.folders
  if (count > 0) log.warn(removed, 'removed what a killed executor had left behind')
}

function deathRegister(engine: Engine, self: Identity): (thing: Labelled) => Promise<boolean> {
  const known = new Map<string, boolean>()
  return async ({ labels }) => {
    const text = labels[EXECUTOR_LABEL] ?? ''
    const answer = known.get(text) ?? (await isDead(engine, text, self))
    known.set(text, answer)
    return answer
  }
}

async function isDead(engine: Engine, text: string, self: Identity): Promise<boolean> {
  const other = parseIdentity(text)
  if (other === undefined) return false
  return other.kind === 'container' ? !(await engine.isRunning(other.id)) : isDeadProcess(other, self)
}

async function sweepFolders(self: Identity): Promise<number> {
  if (self.kind !== 'process') return 0
  let count = 0
  for (const name of await readdir(tmpdir())) {
    const [namespace = '', pid = '', started = ''] = name.startsWith(`${FOLDER_PREFIX}-`)
      ? name.slice(FOLDER_PREFIX.length + 1).split('-')
      : []
    if (!/^\d+$/.test(pid)) continue
    // A folder's name does not tell its machine and boot, but it lies on this one's disk.
    const owner = { ...self, namespace, pid: Number(pid), started }
    if (!isDeadProcess(owner, self)) continue
    await rm(join(tmpdir(), name), { recursive: true, force: true })
    count += 1
  }
  return count
}
