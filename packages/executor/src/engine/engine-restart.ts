/** An engine may be restarted under a job, by an upgrade for instance; with live-restore the job's container goes on. */
import type { Clock } from '@horde/kit/time'
import { EngineError } from './container.ts'

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
      const isAway = error instanceof EngineError && error.status === undefined
      if (!isAway || (awaySince !== undefined && clock.monotonic() - awaySince > AWAY_MS)) throw error
      if (awaySince === undefined) onAway()
      awaySince ??= clock.monotonic()
      await clock.sleep(PAUSE_MS, signal)
    }
  }
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
