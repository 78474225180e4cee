/**
 * Removes the orphans of executors that were killed: containers, volumes and folders that no executor uses any more.
 */
import { readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine } from '@horde/engine/engine'
import type { Log } from '@horde/kit/log'
import { EXECUTOR_LABEL } from '@horde/protocol/executor/labels'
import { type Identity, identityText, isDeadProcess, parseIdentity } from './identity.ts'

/**
 * The beginning of the name of an executor's folder. Its pid namespace, pid and start time follow, or its container's
 * id: some miners mount the host's folder for temporary files into their executors' containers.
 */
export const FOLDER_PREFIX = 'compute-horde-executor'

/** Returns the beginning of the name of this executor's folder; a random suffix follows. */
export function folderName(self: Identity): string {
  if (self.kind === 'container') return `${FOLDER_PREFIX}-container-${self.id}-`
  return `${FOLDER_PREFIX}-${self.namespace}-${self.pid}-${self.started}-`
}

/**
 * Removes the containers, volumes and folders of dead executors of this host, and only theirs. Skips what cannot be
 * removed.
 */
export async function removeOrphans(engine: Engine, self: Identity, log: Log): Promise<void> {
  const isDead = deadExecutors(engine, self)
  const removeOwned = async <T>(things: T[], owner: (thing: T) => string, remove: (thing: T) => Promise<void>) => {
    let count = 0
    for (const each of things) {
      try {
        if (!(await isDead(owner(each)))) continue
        await remove(each)
        count += 1
      } catch (err) {
        log.warn({ err }, 'an orphan of a killed executor could not be removed')
      }
    }
    return count
  }
  const label = ({ labels }: { labels: Readonly<Record<string, string>> }) => labels[EXECUTOR_LABEL] ?? ''
  const [containers, volumes, folders] = await Promise.all([
    engine.containers.withLabel(EXECUTOR_LABEL),
    engine.volumes.withLabel(EXECUTOR_LABEL),
    readdir(tmpdir()),
  ])
  // Engines may share a disk, and a container of another engine looks like one that is gone. Only what an executor left
  // on this engine shows that it used this engine; so that stays until the folder is removed.
  const ofThisEngine = new Set([...containers, ...volumes].map(label))
  const removed = {
    folders: await removeOwned(
      folders,
      name => folderOwner(name, self, ofThisEngine),
      name => rm(join(tmpdir(), name), { recursive: true, force: true }),
    ),
    containers: await removeOwned(containers, label, ({ id }) => engine.containers.remove(id)),
    volumes: await removeOwned(volumes, label, ({ name }) => engine.volumes.remove(name)),
  }
  const count = removed.containers + removed.volumes + removed.folders
  if (count > 0) log.warn(removed, 'removed the orphans of killed executors')
}

/** Returns a function that checks whether the executor of an identity is dead. It checks each identity once. */
function deadExecutors(engine: Engine, self: Identity): (owner: string) => Promise<boolean> {
  const known = new Map<string, boolean>()
  return async owner => {
    const answer = known.get(owner) ?? (await isDeadExecutor(engine, owner, self))
    known.set(owner, answer)
    return answer
  }
}

async function isDeadExecutor(engine: Engine, text: string, self: Identity): Promise<boolean> {
  const other = parseIdentity(text)
  if (other === undefined) return false
  return other.kind === 'container' ? !(await engine.containers.isRunning(other.id)) : isDeadProcess(other, self)
}

/**
 * Returns the identity in a folder's name, as a label would have it; empty for any other folder, and for that of a
 * container that left nothing on this engine.
 */
function folderOwner(name: string, self: Identity, ofThisEngine: ReadonlySet<string>): string {
  if (!name.startsWith(`${FOLDER_PREFIX}-`)) return ''
  const [namespace = '', pid = '', started = ''] = name.slice(FOLDER_PREFIX.length + 1).split('-')
  if (namespace === 'container') {
    const owner = identityText({ kind: 'container', id: pid })
    return ofThisEngine.has(owner) ? owner : ''
  }
  if (self.kind !== 'process' || !/^\d+$/.test(pid)) return ''
  // The name holds neither machine nor boot, but the folder lies on the disk of this machine.
  return identityText({ ...self, namespace, pid: Number(pid), started })
}
