import { Journal } from '../db/journal.ts'
import type { BatchJob, PartDeps } from './batch-part.ts'
import { Gate } from './gate.ts'
import { type StartLimits, Starts } from './starts.ts'

/** How many miners are dialled in a second: connections cost a signature each. */
const DIALS: StartLimits = { atOnce: Number.POSITIVE_INFINITY, perSecond: 200 }

export interface DriveLimits {
  starts: StartLimits
  /** How long the first job waits for all miners to be connected, in ms. */
  gatherMs: number
  /** When the batch closes, in ms of the monotonic clock. */
  endsAt: number
}

type SharedDeps = Omit<PartDeps, 'journal' | 'gate' | 'dials' | 'starts'>

/**
 * Runs the parts of all miners at once, until everything that came of them is saved. Whatever goes wrong with one part is
 * kept from the others, and its jobs have no end.
 */
export async function driveParts<Item>(
  items: readonly Item[],
  run: (item: Item, deps: PartDeps) => Promise<BatchJob[]>,
  { starts, gatherMs, endsAt }: DriveLimits,
  deps: SharedDeps,
  signal: AbortSignal,
): Promise<BatchJob[]> {
  const { db, clock, log } = deps
  await using journal = new Journal({ db, clock, log }, signal)
  using gate = new Gate(items.length, Math.min(gatherMs, endsAt - clock.monotonic()), clock, signal)
  const shared = { ...deps, journal, gate, dials: new Starts(DIALS, clock), starts: new Starts(starts, clock) }
  const jobs = await Promise.all(
    items.map(item =>
      run(item, shared).catch(err => {
        if (!signal.aborted) log.error({ err }, "a miner's part of a batch failed")
        return []
      }),
    ),
  )
  return jobs.flat()
}
