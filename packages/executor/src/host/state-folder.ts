/**
 * What the executors of one host remember from one to the next: small JSON files in a folder. All of it may be lost at any
 * time, and nothing that another user could have written counts.
 */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Log } from '@horde/kit/log'

const FOLDER_MODE = 0o700
const FILE_MODE = 0o600
/** Whoever may write besides the owner. */
const WRITABLE_BY_OTHERS = 0o022
const MAX_FILE_BYTES = 4 * 1024 * 1024
/** Files that are being written have such names; one of a killed executor is removed after so many ms. */
const UNFINISHED = '.unfinished-'
const UNFINISHED_MS = 3_600_000

export interface StateFolder {
  /** Where it is; undefined when there is none, and so no memory. */
  readonly path: string | undefined
  /** What was written under a name, parsed; undefined when there is nothing that can be used. Never rejects. */
  read(name: string): Promise<unknown>
  /** Keeps a value, whole or not at all; the last of several writers wins. Trouble is a warning. Never rejects. */
  write(name: string, value: unknown): Promise<void>
  /** Never rejects. */
  remove(name: string): Promise<void>
  /** The names that there are. Never rejects. */
  names(): Promise<string[]>
}

/** Where the state of executors is when no setting says so; undefined when this user has no home. */
export function defaultStateFolder(): string | undefined {
  try {
    return join(homedir(), '.local', 'state', 'compute-horde')
  } catch {
    return undefined
  }
}

/** Makes the folder if need be. Where that is impossible, or it is somebody else's, there is a warning and no memory. */
export async function openStateFolder(path: string | undefined, log: Log): Promise<StateFolder> {
  try {
    if (path === undefined) throw new Error('this user has no home folder, and STATE_FOLDER is not set')
    await makeFolder(path)
    const { uid, mode } = await stat(path)
    if (uid !== process.geteuid?.()) throw new Error(`${path} belongs to another user`)
    if (mode & WRITABLE_BY_OTHERS) throw new Error(`others may write to ${path}`)
    await removeUnfinished(path)
    return folderAt(path, log)
  } catch (err) {
    log.warn({ err }, 'there is no folder for what executors remember; every one begins anew')
    return NO_MEMORY
  }
}

/** With the folders above it. Node's own way to do that never ends where a folder takes none, as in /proc. */
async function makeFolder(path: string): Promise<void> {
  const make = () => mkdir(path, { mode: FOLDER_MODE }).catch(unlessExists)
  await make().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' || dirname(path) === path) throw error
    await makeFolder(dirname(path))
    await make()
  })
}

function unlessExists(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}

const NO_MEMORY: StateFolder = {
  path: undefined,
  read: async () => undefined,
  write: async () => {},
  remove: async () => {},
  names: async () => [],
}

function folderAt(path: string, log: Log): StateFolder {
  const at = (name: string) => join(path, checkedName(name))
  return {
    path,
    read: name => readOwn(at(name)).catch(() => undefined),
    write: (name, value) =>
      writeWhole(path, at(name), JSON.stringify(value)).catch(err => log.warn({ err }, 'nothing could be remembered')),
    remove: name => rm(at(name), { force: true }).catch(() => {}),
    names: () =>
      readdir(path).then(
        all => all.filter(name => !name.startsWith(UNFINISHED)),
        () => [],
      ),
  }
}

/** Names come from this package alone: a wrong one is a mistake in it. */
function checkedName(name: string): string {
  if (!/^[\w-][\w.-]{0,200}$/.test(name)) throw new Error(`not a name for a file: ${name}`)
  return name
}

async function readOwn(path: string): Promise<unknown> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const { uid, mode, size } = await file.stat()
    const isOurs = uid === process.geteuid?.() && (mode & WRITABLE_BY_OTHERS) === 0
    return isOurs && size <= MAX_FILE_BYTES ? JSON.parse(await file.readFile('utf8')) : undefined
  } finally {
    await file.close()
  }
}

async function writeWhole(folder: string, path: string, text: string): Promise<void> {
  const unfinished = join(folder, `${UNFINISHED}${randomUUID()}`)
  const file = await open(unfinished, 'wx', FILE_MODE)
  try {
    await file.writeFile(text).finally(() => file.close())
    await rename(unfinished, path)
  } catch (error) {
    await rm(unfinished, { force: true })
    throw error
  }
}

async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(UNFINISHED)) continue
    const path = join(folder, name)
    const made = await stat(path).catch(() => undefined)
    if (made && Date.now() - made.mtimeMs > UNFINISHED_MS) await rm(path, { force: true })
  }
}
