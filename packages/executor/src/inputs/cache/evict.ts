/** Keeps the cache of inputs within its bounds. */
import { lstat, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What the names of contents and of records begin with. */
export const CONTENTS = 'contents-'
export const RECORD = 'record-'
/** The file that was written when an executor last looked at all others, and how long that is enough, in ms. */
const LOOKED = 'looked'
const LOOK_EVERY_MS = 600_000

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
  /** The most bytes of all files together. */
  maxBytes: number
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
 * Removes what no job has used for too long, and then the least recently used until the rest fits. Executors that do so
 * at once remove no more than that: each file that is gone already counts as removed. Never rejects.
 *
 * @param now by the wall clock, in ms
 */
export async function evict(folder: string, { maxBytes, maxAgeMs }: CacheLimits, now: number): Promise<void> {
  await writeFile(join(folder, LOOKED), '', { mode: 0o600 }).catch(() => {})
  const files = (await filesIn(folder)).sort((a, b) => a.usedAt - b.usedAt)
  let bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  for (const [removed, file] of files.entries()) {
    const fits = bytes <= maxBytes && files.length - removed <= MAX_FILES
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
