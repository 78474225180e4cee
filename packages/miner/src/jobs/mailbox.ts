/** A queue with one reader: what is put in is taken out in order, and a wait that ends early loses nothing. */
import type { Clock } from '@horde/kit/time'

export class Mailbox<T> {
  readonly #waiting: T[] = []
  #wake: (() => void) | undefined

  put(item: T): void {
    this.#waiting.push(item)
    this.#wake?.()
  }

  /**
   * The next item, or undefined when none came within `ms` milliseconds.
   * @throws signal.reason once aborted
   */
  async take(ms: number, clock: Clock, signal: AbortSignal): Promise<T | undefined> {
    signal.throwIfAborted()
    if (this.#waiting.length === 0) await this.#arrival(ms, clock, signal)
    return this.#waiting.shift()
  }

  async #arrival(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    const arrived = new Promise<void>(resolve => {
      this.#wake = resolve
    })
    const late = clock.sleep(ms, AbortSignal.any([signal, over.signal]))
    try {
      await Promise.race([arrived, late])
    } finally {
      this.#wake = undefined
      late.catch(() => {})
      over.abort()
    }
  }
}
