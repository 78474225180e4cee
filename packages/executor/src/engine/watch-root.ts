/** What holds a job that may write to its image's own folders: the engine has no limit for those, so they are measured. */
import type { Clock } from '@horde/kit/time'
import { EngineError } from './container.ts'
import type { DiskUse } from './disk.ts'

export interface RootLimits {
  /** What the job may write, in bytes. */
  maxBytes: number
  /** The pause between two measurements, in ms. */
  everyMs: number
}

export interface RootWatch {
  /** What the job has written so far, in bytes: it takes the longer the more files there are. */
  writtenBytes(): Promise<number>
  /** How full the disk is that it lies on. */
  disk(): Promise<DiskUse>
  clock: Clock
}

/** A disk with less than this free, of its bytes or its inodes, is running short. */
const LEAST_FREE_SHARE = 0.05
/** A disk that was as full before is not the job's doing: only what went since the job's start counts, as a share of all. */
const LEAST_TAKEN_SHARE = 0.01

/**
 * Resolves when a running container has written too much, or the disk runs short while it writes: many empty files
 * take inodes and no bytes. Otherwise it goes on until the signal aborts, and rejects.
 */
export async function watchRoot(
  limits: RootLimits,
  watch: RootWatch,
  signal: AbortSignal,
): Promise<'wrote too much' | 'filled the disk'> {
  const before = await watch.disk()
  return Promise.race([
    until(async () => (await writtenBytes(watch)) > limits.maxBytes, limits, watch, signal).then(
      () => 'wrote too much' as const,
    ),
    until(async () => runsShort(before, await watch.disk()), limits, watch, signal).then(
      () => 'filled the disk' as const,
    ),
  ])
}

async function until(
  isSo: () => Promise<boolean>,
  { everyMs }: RootLimits,
  { clock }: RootWatch,
  signal: AbortSignal,
): Promise<void> {
  do await clock.sleep(everyMs, signal)
  while (!(await isSo()))
}

/** An engine that restarts cannot tell; it is asked again the next time. */
async function writtenBytes(watch: RootWatch): Promise<number> {
  return watch.writtenBytes().catch(error => {
    if (error instanceof EngineError && error.status === undefined) return 0
    throw error
  })
}

/** Whether little is left of a disk's bytes or inodes, and much of it went since `before`. */
export function runsShort(before: DiskUse, now: DiskUse): boolean {
  const short = (all: number, freeBefore: number, free: number) =>
    free < all * LEAST_FREE_SHARE && freeBefore - free > all * LEAST_TAKEN_SHARE
  return short(now.bytes, before.freeBytes, now.freeBytes) || short(now.inodes, before.freeInodes, now.freeInodes)
}
