import { type Clock, systemClock } from './time.ts'

/** Nobody looks at it. Without a reason of its own an abort makes an error with a stack, which costs more than the wait. */
const OVER = 'over'

export interface InboxOptions {
  clock?: Clock
  /** How much may wait untaken; what comes beyond it is refused. Default: no limit. */
  maxWaiting?: number
}

/** A queue with one reader, with a deadline on every wait: what is put in comes out in order, and nothing is lost. */
export class Inbox<T> {
  readonly #clock: Clock
  readonly #maxWaiting: number
  readonly #waiting: T[] = []
  #last: T | undefined
  #news = Promise.withResolvers<void>()

  constructor({ clock = systemClock, maxWaiting = Number.POSITIVE_INFINITY }: InboxOptions = {}) {
    this.#clock = clock
    this.#maxWaiting = maxWaiting
  }

  /** False when it was refused: too much waits, or the last word was said. */
  put(item: T): boolean {
    if (this.#last !== undefined || this.#waiting.length >= this.#maxWaiting) return false
    this.#waiting.push(item)
    this.#news.resolve()
    return true
  }

  /** The last word: `next` gives it, again and again, once everything before it was taken. */
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
      heard.abort(OVER)
    }
  }
}
