import type { Clock } from '@horde/kit/time'

/** Opens once everybody has arrived, or after a time, or at a stop: so that the jobs of all miners start together. */
export class Gate implements Disposable {
  readonly #open = Promise.withResolvers<void>()
  readonly #over = new AbortController()
  #missing: number

  /** @param withinMs how long it waits for the last one, in ms */
  constructor(expected: number, withinMs: number, clock: Clock, signal: AbortSignal) {
    this.#missing = expected
    clock.sleep(withinMs, AbortSignal.any([signal, this.#over.signal])).then(this.#open.resolve, this.#open.resolve)
  }

  /** Says that somebody is there, and resolves once the gate is open. */
  arrive(): Promise<void> {
    this.#missing -= 1
    if (this.#missing <= 0) this[Symbol.dispose]()
    return this.#open.promise
  }

  /** Opens it: nobody else comes. */
  [Symbol.dispose](): void {
    this.#over.abort()
  }
}
