/** How full the disk is that the engine keeps images and containers on. */
import { statfs } from 'node:fs/promises'
import type { Clock } from '@horde/kit/time'

/** A disk with less than this free, of its bytes or its inodes, is running short. */
const LEAST_FREE_SHARE = 0.05
/** A disk that was as full before is nobody's doing: only what went since counts, as a share of all. */
const LEAST_TAKEN_SHARE = 0.01

export interface DiskUse {
  /** What the disk holds in all, and what is free of it, in bytes. */
  bytes: number
  freeBytes: number
  /** The same in inodes; both 0 where the file system makes them as it needs them. */
  inodes: number
  freeInodes: number
}

/**
 * Looks at the disk behind the engine's data folder.
 *
 * @param dataFolder DockerRootDir, as the engine tells it
 */
export async function engineDisk(dataFolder: string): Promise<DiskUse> {
  const seen = await look(dataFolder)
  return {
    bytes: seen.blocks * seen.bsize,
    freeBytes: seen.bavail * seen.bsize,
    inodes: seen.files,
    freeInodes: seen.ffree,
  }
}

/** How full that disk is, 0 to 100, as df says it: what is kept for root counts neither way. */
export async function usedPercent(dataFolder: string): Promise<number> {
  const { blocks, bfree, bavail } = await look(dataFolder)
  const used = blocks - bfree
  return used === 0 ? 0 : (100 * used) / (used + bavail)
}

/**
 * Resolves when a disk runs short while something is written to it. Otherwise it goes on until the signal aborts, and rejects.
 *
 * @param everyMs the pause between two looks at it, in ms
 */
export async function untilRunsShort(
  disk: () => Promise<DiskUse>,
  everyMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const before = await disk()
  do await clock.sleep(everyMs, signal)
  while (!runsShort(before, await disk()))
}

/** Whether little is left of a disk's bytes or inodes, and much of it went since `before`. */
export function runsShort(before: DiskUse, now: DiskUse): boolean {
  const short = (all: number, freeBefore: number, free: number) =>
    free < all * LEAST_FREE_SHARE && freeBefore - free > all * LEAST_TAKEN_SHARE
  return short(now.bytes, before.freeBytes, now.freeBytes) || short(now.inodes, before.freeInodes, now.freeInodes)
}

/** From within a container the engine's folder is not to be seen, but the container's own root lies on the same disk. */
function look(dataFolder: string) {
  return statfs(dataFolder).catch(() => statfs('/'))
}
