import { type Clock, systemClock } from '@horde/kit/time'

/** How much waits unheard at most; a peer that says more about one job has lost the rest. */
const MAX_WAITING = 100

/** What one job hears, in order, with a deadline on every wait. */
export class Inbox<T> {
  readonly #clock: Clock
  readonly #waiting: T[] = []
  #last: T | undefined
  #news = Promise.withResolvers<void>()

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
  }

  /** False when it was dropped. */
  put(item: T): boolean {
    if (this.#last !== undefined || this.#waiting.length >= MAX_WAITING) return false
    this.#waiting.push(item)
    this.#news.resolve()
    return true
  }

  /** The last word: `next` gives it, again and again, once everything before it was heard. */
  end(item: T): void {
    this.#last ??= item
    this.#news.resolve()
  }

  /** The next item; undefined when `ms` milliseconds brought none. Rejects with `signal.reason` when aborted. */
  async next(ms: number, signal: AbortSignal): Promise<T | undefined> {
    signal.throwIfAborted()
    if (this.#waiting.length === 0 && this.#last === undefined) await this.#wait(ms, signal)
    return this.#waiting.shift() ?? this.#last
  }

  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    this.#news = Promise.withResolvers<void>()
    const heard = new AbortController()
    const timeUp = this.#clock.sleep(ms, AbortSignal.any([signal, heard.signal]))
    try {
      await Promise.race([this.#news.promise, timeUp])
    } finally {
      timeUp.catch(() => {})
      heard.abort()
    }
  }
}
