/**
 * Limits how much a job writes to its image's own folders, if it may write there. The engine has no such limit, so the
 * executor measures them.
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
 * Resolves when a running container has written too much, or when the disk becomes nearly full meanwhile: many empty
 * files take inodes but no bytes. Rejects when the signal aborts.
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
