/**
 * Limits what a job writes to its image's own folders, where it may: the engine has no limit for them, so they are
 * measured.
 */

import { isUnanswered } from '@horde/engine/engine-error'
import type { Clock } from '@horde/kit/time'
import { type DiskUse, untilRunsShort } from './disk.ts'

export interface RootLimits {
  /** What the job may write, in bytes. */
  maxBytes: number
  /** The pause between two measurements, in ms. */
  everyMs: number
}

export interface RootWatch {
  /** Returns what the job has written so far, in bytes. It takes longer the more files there are. */
  writtenBytes(): Promise<number>
  /** Returns how full the disk is on which those folders lie. */
  disk(): Promise<DiskUse>
  clock: Clock
}

/**
 * Resolves when a running container has written too much, or when the disk runs short while it writes: many empty files
 * take inodes and no bytes. Otherwise it rejects when the signal aborts.
 */
export async function watchRoot(
  limits: RootLimits,
  watch: RootWatch,
  signal: AbortSignal,
): Promise<'wrote too much' | 'filled the disk'> {
  const { clock, disk } = watch
  return Promise.race([
    untilTooLarge(limits, watch, signal).then(() => 'wrote too much' as const),
    untilRunsShort(disk, limits.everyMs, clock, signal).then(() => 'filled the disk' as const),
  ])
}

async function untilTooLarge({ maxBytes, everyMs }: RootLimits, watch: RootWatch, signal: AbortSignal): Promise<void> {
  do await watch.clock.sleep(everyMs, signal)
  while ((await writtenBytes(watch)) <= maxBytes)
}

/** Returns 0 while the engine restarts; the next measurement counts. */
async function writtenBytes(watch: RootWatch): Promise<number> {
  return watch.writtenBytes().catch(error => {
    if (isUnanswered(error)) return 0
    throw error
  })
}
