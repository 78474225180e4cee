/**
 * Stores small JSON files in a folder, which executors of one host share with later ones. The files may be lost at any
 * time. Files that another user could have written are ignored.
 */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Log } from '@horde/kit/log'

const FOLDER_MODE = 0o700
const FILE_MODE = 0o600
/** The mode bits that let other users write. */
export const WRITABLE_BY_OTHERS = 0o022
const MAX_FILE_BYTES = 4 * 1024 * 1024
/**
 * The prefix of files that are being written, and the age after which such a file is removed, in ms.
 */
export const UNFINISHED = '.unfinished-'
const UNFINISHED_MS = 3_600_000

export interface StateFolder {
  /** The folder's path; undefined when there is none, and nothing is kept. */
  readonly path: string | undefined
  /** Returns what was written under a name, parsed; undefined when there is no usable file. Never rejects. */
  read(name: string): Promise<unknown>
  /** Writes a value, all of it or nothing; the last of several writers wins. Logs a failure. Never rejects. */
  write(name: string, value: unknown): Promise<void>
  /** Never rejects. */
  remove(name: string): Promise<void>
  /** Returns the names of all files. Never rejects. */
  names(): Promise<string[]>
}

/** Returns the folder that is used without a setting; undefined when this user has no home. */
export function defaultStateFolder(): string | undefined {
  try {
    return join(homedir(), '.local', 'state', 'compute-horde')
  } catch {
    return undefined
  }
}

const WITHOUT_STATE = 'the state folder cannot be used; every executor checks its host again'

/**
 * Opens the folder, and creates it when it is missing. Where it cannot be used it logs a warning, and keeps nothing.
 *
 * @param warning the warning, for a folder that is kept for something else
 */
export async function openStateFolder(
  path: string | undefined,
  log: Log,
  warning = WITHOUT_STATE,
): Promise<StateFolder> {
  try {
    if (path === undefined) throw new Error('this user has no home folder, and STATE_FOLDER is not set')
    await makeFolder(path)
    const { uid, mode } = await stat(path)
    if (uid !== process.geteuid?.()) throw new Error(`${path} belongs to another user`)
    if (mode & WRITABLE_BY_OTHERS) throw new Error(`others may write to ${path}`)
    await removeUnfinished(path)
    return folderAt(path, log)
  } catch (err) {
    log.warn({ err }, warning)
    return NO_FOLDER
  }
}

/**
 * Creates the folder and its parents. Node's own recursive mkdir never ends where a folder cannot hold any, as in
 * /proc.
 */
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

const NO_FOLDER: StateFolder = {
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
      writeWhole(path, at(name), JSON.stringify(value)).catch(err =>
        log.warn({ err }, 'a state file could not be written'),
      ),
    remove: name => rm(at(name), { force: true }).catch(() => {}),
    names: () =>
      readdir(path).then(
        all => all.filter(name => !name.startsWith(UNFINISHED)),
        () => [],
      ),
  }
}

/** Names come from this package only: a wrong one is a bug. */
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
