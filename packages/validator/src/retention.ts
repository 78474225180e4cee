import type { OpenDatabase } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { type Loop, startLoop } from '@horde/kit/loop'
import type { Clock } from '@horde/kit/time'
import type { ValidatorConfig } from './config.ts'
import { evictOld } from './db/evict.ts'

const DAY_MS = 86_400_000
/** How often rows that are kept no longer are looked for, and how long after the start first, in milliseconds. */
const EVERY_MS = 3_600_000
const FIRST_MS = 600_000

export type EvictionDeps = { database: OpenDatabase; clock: Clock; log: Log }

type Kept = Pick<
  ValidatorConfig,
  'RETENTION_DAYS' | 'WEIGHTS_RETENTION_DAYS' | 'SCORE_WINDOW_SECONDS' | 'DEMAND_WINDOW_SECONDS'
>

/** Has old batches, jobs and settings of weights removed, once an hour. */
export function startEviction(config: Kept, { database, clock, log }: EvictionDeps, signal: AbortSignal): Loop {
  // What scoring still looks at stays, whatever is asked for.
  const lookedAtMs = Math.max(config.SCORE_WINDOW_SECONDS, config.DEMAND_WINDOW_SECONDS) * 1000
  const retention = {
    batchesKeptMs: Math.max(config.RETENTION_DAYS * DAY_MS, lookedAtMs),
    settingsKeptMs: config.WEIGHTS_RETENTION_DAYS * DAY_MS,
  }
  const run = async (stop: AbortSignal) => {
    const evicted = await evictOld(database.db, retention, new Date(clock.now()), stop)
    if (evicted.batches + evicted.jobs + evicted.settings > 0) log.info({ ...evicted }, 'old rows evicted')
    // Also of rows that were changed: each change leaves a dead one.
    if (!stop.aborted) await database.reclaimSpace()
  }
  return startLoop({ name: 'evict', everyMs: EVERY_MS, firstAfterMs: FIRST_MS, run, clock, log, signal })
}
