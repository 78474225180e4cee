import type { Clock } from '@horde/kit/time'

/** Opens once everybody has arrived, or after a time: so that the jobs of all miners start together. */
export class Gate {
  readonly #open = Promise.withResolvers<void>()
  readonly #over = new AbortController()
  #missing: number

  /** @param withinMs how long it waits for the last one, in ms */
  constructor(expected: number, withinMs: number, clock: Clock) {
    this.#missing = expected
    clock.sleep(withinMs, this.#over.signal).then(this.#open.resolve, () => {})
  }

  /** Says that somebody is there, and resolves once the gate is open. */
  arrive(): Promise<void> {
    this.#missing -= 1
    if (this.#missing <= 0) {
      this.#over.abort()
      this.#open.resolve()
    }
    return this.#open.promise
  }
}
