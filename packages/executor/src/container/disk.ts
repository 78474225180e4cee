/** How full the disk is on which the engine keeps images and containers. */
import { statfs } from 'node:fs/promises'
import type { Clock } from '@horde/kit/time'

/** A disk is nearly full when less than this share of its bytes or inodes is free. */
const LEAST_FREE_SHARE = 0.05
/** A job is blamed only when at least this share of the disk was used since the job began. */
const LEAST_TAKEN_SHARE = 0.01

export interface DiskUse {
  /** The size of the disk, in bytes. */
  bytes: number
  freeBytes: number
  /** How many inodes it has; this and the free ones are 0 when the file system creates inodes on demand. */
  inodes: number
  freeInodes: number
}

/**
 * Returns how full the disk behind the engine's data folder is.
 *
 * @param dataFolder DockerRootDir, as the engine reports it
 */
export async function engineDisk(dataFolder: string): Promise<DiskUse> {
  const found = await look(dataFolder)
  return {
    bytes: found.blocks * found.bsize,
    freeBytes: found.bavail * found.bsize,
    inodes: found.files,
    freeInodes: found.ffree,
  }
}

/** Returns how full the disk is, in percent, without the blocks reserved for root, as df does. */
export async function usedPercent(dataFolder: string): Promise<number> {
  const { blocks, bfree, bavail } = await look(dataFolder)
  const used = blocks - bfree
  return used === 0 ? 0 : (100 * used) / (used + bavail)
}

/**
 * Resolves when a disk becomes nearly full. Rejects when the signal aborts.
 *
 * @param everyMs the pause between two measurements, in ms
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

/** Returns whether a disk is nearly full, and much of it was used since `before`. */
export function runsShort(before: DiskUse, now: DiskUse): boolean {
  const short = (all: number, freeBefore: number, free: number) =>
    free < all * LEAST_FREE_SHARE && freeBefore - free > all * LEAST_TAKEN_SHARE
  return short(now.bytes, before.freeBytes, now.freeBytes) || short(now.inodes, before.freeInodes, now.freeInodes)
}

/** A process in a container cannot see the engine's folder, but the container's root lies on the same disk. */
function look(dataFolder: string) {
  return statfs(dataFolder).catch(() => statfs('/'))
}
