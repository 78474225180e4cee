import type { Clock } from '@horde/kit/time'

/** Opens once all have arrived, after a time, or at a stop, so that the jobs of all miners start together. */
export class StartBarrier implements Disposable {
  /** Resolves once the barrier is open. */
  readonly opened: Promise<void>
  readonly #closed = new AbortController()
  #missing: number

  /** @param withinMs how long it waits for the last arrival, in ms */
  constructor(expected: number, withinMs: number, clock: Clock, signal: AbortSignal) {
    this.#missing = expected
    const timeUp = clock.sleep(withinMs, AbortSignal.any([signal, this.#closed.signal]))
    this.opened = timeUp.catch(() => {})
  }

  arrive(): void {
    this.#missing -= 1
    if (this.#missing <= 0) this[Symbol.dispose]()
  }

  /** Opens the barrier without waiting for further arrivals. */
  [Symbol.dispose](): void {
    this.#closed.abort()
  }
}
