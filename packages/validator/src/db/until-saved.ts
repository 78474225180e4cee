import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'

/** How long the database may be away before what was to be saved is given up, and from one try to the next, in ms. */
const SAVE_WITHIN_MS = 60_000
const SAVE_AGAIN_MS = 1_000

/**
 * What `save` gives, tried again while the database is away: a restart of Postgres in the middle of a batch is no
 * miner's fault. Rejects with the last error after a minute, and at once when the validator stops.
 */
export async function untilSaved<T>(
  save: () => Promise<T>,
  { clock, log }: { clock: Clock; log: Log },
  signal: AbortSignal,
): Promise<T> {
  const until = clock.monotonic() + SAVE_WITHIN_MS
  for (;;) {
    try {
      return await save()
    } catch (err) {
      if (signal.aborted || clock.monotonic() >= until) throw err
      log.warn({ err }, 'the database did not take what was to be saved; trying again')
      await clock.sleep(SAVE_AGAIN_MS, signal).catch(() => {})
    }
  }
}
