/** Keeps the cache of inputs within its bounds. */
import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** What the names of contents and of records begin with. */
export const CONTENTS = 'contents-'
export const RECORD = 'record-'

/** A file takes at least this much of a disk, in bytes. */
const BLOCK_BYTES = 4_096

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

/**
 * Removes what no job has used for too long, and then the least recently used until the rest fits. Executors that do so
 * at once remove no more than that: each file that is gone already counts as removed. Never rejects.
 *
 * @param now by the wall clock, in ms
 */
export async function evict(folder: string, { maxBytes, maxAgeMs }: CacheLimits, now: number): Promise<void> {
  const files = (await filesIn(folder)).sort((a, b) => a.usedAt - b.usedAt)
  let bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  for (const file of files) {
    if (bytes <= maxBytes && now - file.usedAt <= maxAgeMs) continue
    await rm(file.path, { force: true }).catch(() => {})
    bytes -= file.bytes
  }
}

async function filesIn(folder: string): Promise<{ path: string; bytes: number; usedAt: number }[]> {
  const names = (await readdir(folder).catch(() => [])).filter(
    name => name.startsWith(CONTENTS) || name.startsWith(RECORD),
  )
  const files = await Promise.all(
    names.map(async name => {
      const path = join(folder, name)
      const found = await lstat(path).catch(() => undefined)
      return found === undefined ? [] : [{ path, bytes: diskBytes(found.size), usedAt: found.mtimeMs }]
    }),
  )
  return files.flat()
}
