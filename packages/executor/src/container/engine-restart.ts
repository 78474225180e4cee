/** Waits while the engine restarts during a job. With live-restore the job's container keeps running. */

import { isUnanswered } from '@horde/engine/engine-error'
import { type Clock, DeadlineError, withDeadline } from '@horde/kit/time'

/** How long an engine may be away, and the pause before it is asked again, in ms. */
const AWAY_MS = 120_000
const PAUSE_MS = 1_000

/**
 * Repeats a call while the engine does not answer. Rejects with the engine's refusal, or after two minutes with the
 * last error.
 *
 * @param onAway called once when the first call gets no answer
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
 * Waits until the engine has answered a call that creates something, also when the answer is late: only then can the
 * thing be removed. Never rejects.
 *
 * @param onLate called when the answer is late
 * @returns false when the engine has not answered within two more minutes: what it creates after that stays
 */
export async function isAnswered(creation: Promise<unknown>, clock: Clock, onLate = () => {}): Promise<boolean> {
  const error: unknown = await creation.then(
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

/** Counts how often an engine went away while a call waited for it. */
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

  /** Resolves once there were more absences than `count`. */
  async moreThan(count: number): Promise<void> {
    if (this.#count <= count) await this.#next.promise
  }
}
