import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'

/** How long to retry while the database is away, and the pause between tries, in ms. */
const SAVE_WITHIN_MS = 60_000
const SAVE_AGAIN_MS = 1_000

/**
 * Retries `save` while the database is away: a restart of Postgres in the middle of a batch must not cost a miner
 * anything. Rejects with the last error after a minute, and at once when the validator stops.
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
      log.warn({ err }, 'saving to the database failed; trying again')
      await clock.sleep(SAVE_AGAIN_MS, signal).catch(() => {})
    }
  }
}
