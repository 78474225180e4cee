/** Keeps the cache of inputs within its bounds. */
import { appendFile, lstat, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What the names of contents and of records begin with. */
export const CONTENTS = 'contents-'
export const RECORD = 'record-'
/** The file that was written when an executor last looked at all others, and how long that is enough, in ms. */
const LOOKED = 'looked'
const LOOK_EVERY_MS = 600_000
/**
 * The file whose size tells what all executors have added since then: a byte for each thousandth of what was free. They
 * append without a lock.
 */
const ADDED = 'added'
const ADDED_PARTS = 1_000

/** A file takes at least this much of a disk, in bytes. */
const BLOCK_BYTES = 4_096
/** The most files, so that a look at all of them stays short. */
const MAX_FILES = 50_000
/** How many files are looked at at once. */
const AT_ONCE = 32

/** Returns what a file of so many bytes counts; records count, too. */
export function diskBytes(size: number): number {
  return Math.max(size, BLOCK_BYTES)
}

export interface CacheLimits {
  /** The most bytes that a removal leaves, of all files together. */
  keptBytes: number
  /** How much may be added until the next removal, in bytes, so that not every new file makes it look at all others. */
  freeBytes: number
  /** How long a file that no job uses is kept, in ms. */
  maxAgeMs: number
}

/** Evicts unless an executor has done so in the last ten minutes. Never rejects. */
export async function evictNowAndThen(folder: string, limits: CacheLimits, now: number): Promise<void> {
  const looked = await lstat(join(folder, LOOKED)).catch(() => undefined)
  if (looked !== undefined && now - looked.mtimeMs < LOOK_EVERY_MS) return
  await evict(folder, limits, now)
}

/**
 * Notes that a file was added, and evicts when the executors of this host have together added what was free. An
 * executor runs one job and adds little, so that a count of its own would never get there.
 *
 * @param bytes what the file counts
 * @param now by the wall clock, in ms
 */
export async function noteAdded(folder: string, bytes: number, limits: CacheLimits, now: number): Promise<void> {
  const parts = Math.ceil((bytes / limits.freeBytes) * ADDED_PARTS)
  const path = join(folder, ADDED)
  await appendFile(path, '.'.repeat(Math.min(parts, ADDED_PARTS + 1)), { mode: 0o600 })
  if ((await lstat(path)).size > ADDED_PARTS) await evict(folder, limits, now)
}

/**
 * Removes what no job has used for too long, and then the least recently used until the rest fits. Executors that do so
 * at once remove no more than that: each file that is gone already counts as removed. Never rejects.
 */
async function evict(folder: string, { keptBytes, maxAgeMs }: CacheLimits, now: number): Promise<void> {
  // First, so that what others add meanwhile is looked at, or noted, or both.
  for (const mark of [LOOKED, ADDED]) await writeFile(join(folder, mark), '', { mode: 0o600 }).catch(() => {})
  const files = (await filesIn(folder)).sort((a, b) => a.usedAt - b.usedAt)
  let bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  for (const [removed, file] of files.entries()) {
    const fits = bytes <= keptBytes && files.length - removed <= MAX_FILES
    // Those that follow were used later.
    if (fits && now - file.usedAt <= maxAgeMs) break
    await rm(file.path, { force: true }).catch(() => {})
    bytes -= file.bytes
  }
}

interface CachedFile {
  path: string
  bytes: number
  usedAt: number
}

async function filesIn(folder: string): Promise<CachedFile[]> {
  const names = await readdir(folder).catch(() => [])
  const queue = names.filter(name => name.startsWith(CONTENTS) || name.startsWith(RECORD)).values()
  const files: CachedFile[] = []
  const look = async () => {
    for (const name of queue) {
      const path = join(folder, name)
      const found = await lstat(path).catch(() => undefined)
      if (found !== undefined) files.push({ path, bytes: diskBytes(found.size), usedAt: found.mtimeMs })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, look))
  return files
}
