/**
 * Keeps downloaded inputs for later jobs of this host, and shares them between its executors.
 *
 * The folder has a file for each contents, named by its SHA-256 and never written again, and a small record for each
 * key: which contents it has, and by which ETag the server knows them. A job gets contents only after the server of its
 * own URL said that they are unchanged. Executors may use the folder at once, and may be killed at any moment: files
 * appear by a rename, contents are checked before each use, and what is missing is downloaded.
 */
import { createHash, randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, copyFile, link, lstat, rename, rm, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { ExecutorSettings } from '../../config.ts'
import { openStateFolder, type StateFolder, UNFINISHED, WRITABLE_BY_OTHERS } from '../../host/state-folder.ts'
import { fileDigest } from '../files/file-digest.ts'
import { type CacheLimits, CONTENTS, diskBytes, evictNowAndThen, noteAdded, RECORD } from './evict.ts'

const READ_ONLY = 0o400
/** The share of the cache that a removal leaves free. */
const FREE_SHARE = 0.05
/** The errors of two file systems, and of one that cannot link. */
const UNLINKABLE = ['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP']
const UNUSABLE = 'the cache of inputs cannot be used; every job downloads its own'

interface Deps {
  clock: Clock
  log: Log
}

type CacheSettings = Pick<
  ExecutorSettings,
  'INPUT_CACHE_FOLDER' | 'INPUT_CACHE_MAX_BYTES' | 'INPUT_CACHE_MAX_AGE_SECONDS'
>

/** Opens the cache and removes what is too old; undefined when there is none. Never rejects. */
export async function openInputCache(settings: CacheSettings, { clock, log }: Deps): Promise<InputCache | undefined> {
  if (settings.INPUT_CACHE_FOLDER === undefined) return undefined
  const folder = await openStateFolder(settings.INPUT_CACHE_FOLDER, log, UNUSABLE)
  if (folder.path === undefined) return undefined
  const freeBytes = settings.INPUT_CACHE_MAX_BYTES * FREE_SHARE
  const limits = {
    keptBytes: settings.INPUT_CACHE_MAX_BYTES - freeBytes,
    freeBytes,
    maxAgeMs: settings.INPUT_CACHE_MAX_AGE_SECONDS * 1_000,
  }
  await evictNowAndThen(folder.path, limits, clock.now())
  return new InputCache(folder, folder.path, limits, { clock, log })
}

export class InputCache {
  readonly #records: StateFolder
  readonly #path: string
  readonly #limits: CacheLimits
  readonly #deps: Deps

  constructor(records: StateFolder, path: string, limits: CacheLimits, deps: Deps) {
    this.#records = records
    this.#path = path
    this.#limits = limits
    this.#deps = deps
  }

  /**
   * Puts the contents of a key at a path, unless they were damaged, and returns their ETag; undefined when there are
   * none. The file there is read-only and stays when the cache forgets it. Never rejects.
   */
  async take(key: readonly string[], path: string): Promise<string | undefined> {
    const name = recordName(key)
    const record = parseRecord(await this.#records.read(name))
    if (record === undefined) return undefined
    const contents = this.#contents(record.digest)
    try {
      await linkOrCopy(contents, path)
      if (await isIntact(path, record)) {
        const now = new Date(this.#deps.clock.now())
        await Promise.all([utimes(contents, now, now), utimes(join(this.#path, name), now, now)])
        return record.etag
      }
      this.#deps.log.warn({ digest: record.digest }, 'a cached input was damaged; it is downloaded again')
      await rm(contents, { force: true })
    } catch (err) {
      // Another executor may have removed it.
      this.#deps.log.debug({ err }, 'a cached input cannot be used')
    }
    await rm(path, { force: true })
    return undefined
  }

  /** Keeps a downloaded file, which is not written any more, if it is not too large. Never rejects. */
  async keep(key: readonly string[], etag: string, path: string): Promise<void> {
    const unfinished = join(this.#path, `${UNFINISHED}${randomUUID()}`)
    try {
      const { size } = await lstat(path)
      if (size > this.#limits.keptBytes) return
      const digest = await fileDigest(path, 'sha256')
      await linkOrCopy(path, unfinished)
      await chmod(unfinished, READ_ONLY)
      await rename(unfinished, this.#contents(digest))
      await this.#records.write(recordName(key), { etag, digest, size })
      const added = diskBytes(size) + diskBytes(0)
      await noteAdded(this.#path, added, this.#limits, this.#deps.clock.now())
    } catch (err) {
      this.#deps.log.warn({ err }, 'an input could not be kept for later jobs')
    } finally {
      await rm(unfinished, { force: true }).catch(() => {})
    }
  }

  #contents(digest: string): string {
    return join(this.#path, `${CONTENTS}${digest}`)
  }
}

interface CacheRecord {
  etag: string
  digest: string
  size: number
}

/** Keys may hold secrets, such as signatures in URLs: only their hash is in a file name. */
function recordName(key: readonly string[]): string {
  return `${RECORD}${createHash('sha256').update(JSON.stringify(key)).digest('hex')}`
}

function parseRecord(value: unknown): CacheRecord | undefined {
  const { etag, digest, size } = (value ?? {}) as Record<string, unknown>
  if (typeof etag !== 'string' || typeof digest !== 'string' || typeof size !== 'number') return undefined
  return /^"[^"\r\n]*"$/.test(etag) && /^[0-9a-f]{64}$/.test(digest) ? { etag, digest, size } : undefined
}

/** Whether a file is a regular one that only this user could write, with these contents. */
async function isIntact(path: string, { digest, size }: CacheRecord): Promise<boolean> {
  const found = await lstat(path)
  if (!found.isFile() || found.uid !== process.geteuid?.() || (found.mode & WRITABLE_BY_OTHERS) !== 0) return false
  return found.size === size && (await fileDigest(path, 'sha256')) === digest
}

/** Links a file, or copies it where that is not possible. Never follows a link. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    if (!UNLINKABLE.includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    if (!(await lstat(from)).isFile()) throw error
    await copyFile(from, to, constants.COPYFILE_EXCL)
  }
}
