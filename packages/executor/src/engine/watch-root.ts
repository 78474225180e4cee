/** What holds a job that may write to its image's own folders: the engine has no limit for those, so they are measured. */
import type { Clock } from '@horde/kit/time'
import { type Engine, EngineError } from './container.ts'
import { type DiskUse, engineDisk } from './disk.ts'

export interface RootLimits {
  /** What the job may write, in bytes. */
  maxBytes: number
  /** The pause between two measurements, in ms. */
  everyMs: number
  /** Where the engine keeps its containers. */
  dataFolder: string
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
  id: string,
  limits: RootLimits,
  { engine, clock }: { engine: Engine; clock: Clock },
  signal: AbortSignal,
): Promise<'wrote too much' | 'filled the disk'> {
  const before = await engineDisk(limits.dataFolder)
  for (;;) {
    await clock.sleep(limits.everyMs, signal)
    if ((await writtenBytes(engine, id)) > limits.maxBytes) return 'wrote too much'
    if (runsShort(before, await engineDisk(limits.dataFolder))) return 'filled the disk'
  }
}

/** An engine that restarts cannot tell; it is asked again the next time. */
async function writtenBytes(engine: Engine, id: string): Promise<number> {
  return engine.writtenBytes(id).catch(error => {
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
