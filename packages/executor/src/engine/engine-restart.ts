/** An engine may be restarted under a job, by an upgrade for instance; with live-restore the job's container goes on. */

import { isUnanswered } from '@horde/engine/engine-error'
import { type Clock, DeadlineError, withDeadline } from '@horde/kit/time'

/** How long an engine may be away, and how long it is left alone before it is asked again, in ms. */
const AWAY_MS = 120_000
const PAUSE_MS = 1_000

/**
 * Asks the engine again while it does not answer at all. Rejects with what it answers, or after two minutes.
 *
 * @param onAway called when it is found to be away, once for each time
 */
export async function acrossRestart<T>(
  ask: () => Promise<T>,
  clock: Clock,
  signal?: AbortSignal,
  onAway = () => {},
): Promise<T> {
  let awaySince: number | undefined
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      signal?.throwIfAborted()
      if (!isUnanswered(error) || (awaySince !== undefined && clock.monotonic() - awaySince > AWAY_MS)) throw error
      if (awaySince === undefined) onAway()
      awaySince ??= clock.monotonic()
      await clock.sleep(PAUSE_MS, signal)
    }
  }
}

/**
 * Waits until it is known what came of the making of something, also when the engine answers late. What a call that was given
 * up makes can be removed only then. Never rejects.
 *
 * @param onLate called when the engine is waited for
 * @returns false when the engine has not answered within two more minutes: what it makes then stays
 */
export async function isAnswered(making: Promise<unknown>, clock: Clock, onLate = () => {}): Promise<boolean> {
  const error: unknown = await making.then(
    () => undefined,
    reason => reason,
  )
  if (!isUnanswered(error) || error.lateAnswer === undefined) return true
  onLate()
  return withDeadline(error.lateAnswer, AWAY_MS, 'a late answer of the engine', clock).then(
    () => true,
    late => !(late instanceof DeadlineError),
  )
}

/** How often an engine went away while somebody waited for it. */
export class Absences {
  #count = 0
  #next = Promise.withResolvers<void>()

  get count(): number {
    return this.#count
  }

  add(): void {
    this.#count += 1
    this.#next.resolve()
    this.#next = Promise.withResolvers()
  }

  /** Resolves once there were more than so many. */
  async moreThan(count: number): Promise<void> {
    if (this.#count <= count) await this.#next.promise
  }
}
