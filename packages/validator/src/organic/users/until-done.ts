/** Retries what the chain or the database keeps from succeeding while a user's job is run. */
import type { Log } from '@horde/kit/log'
import { type BackoffOptions, backoff } from '@horde/kit/reconnect'
import type { Clock } from '@horde/kit/time'

/** The pauses between two attempts at what the chain or the database keeps from succeeding. */
const AGAIN: BackoffOptions = { minMs: 1_000, maxMs: 30_000, factor: 2 }

/**
 * Retries `step` of a stored job until it succeeds: an end that is not stored is told to no one, and `follow` ends a job
 * by itself once it is too late for it. Gives up when the validator stops; the next start resumes the job. Never rejects.
 */
export async function untilDone(
  jobUuid: string,
  step: () => Promise<void>,
  { clock, log }: { clock: Clock; log: Log },
  signal: AbortSignal,
): Promise<void> {
  for (const delayMs of backoff(AGAIN)) {
    try {
      return await step()
    } catch (err) {
      if (signal.aborted) return
      log.error({ err, jobUuid, delayMs }, 'job of a user could not be run on; trying again')
    }
    await clock.sleep(delayMs, signal).catch(() => {})
    if (signal.aborted) return
  }
}
