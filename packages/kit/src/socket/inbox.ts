import { type Clock, systemClock } from '../time.ts'

/** The reason of an abort that is never read. Without one, abort() builds an error with a stack, which is slow. */
const OVER = 'over'

export interface InboxOptions {
  clock?: Clock
  /** The most items that may wait. `put` refuses more. Default: no limit. */
  maxWaiting?: number
}

/** A queue with one reader and a deadline on every wait. Items come out in order, and an aborted wait loses none. */
export class Inbox<T> {
  readonly #clock: Clock
  readonly #maxWaiting: number
  readonly #waiting: T[] = []
  #last: T | undefined
  #arrival = Promise.withResolvers<void>()

  constructor({ clock = systemClock, maxWaiting = Number.POSITIVE_INFINITY }: InboxOptions = {}) {
    this.#clock = clock
    this.#maxWaiting = maxWaiting
  }

  /** Returns false when the item was refused: too many wait, or the inbox has ended. */
  put(item: T): boolean {
    if (this.#last !== undefined || this.#waiting.length >= this.#maxWaiting) return false
    this.#waiting.push(item)
    this.#arrival.resolve()
    return true
  }

  /** Ends the inbox. After the items before it, `next` returns this last item every time. */
  end(item: T): void {
    this.#last ??= item
    this.#arrival.resolve()
  }

  /** Returns the next item, or undefined when none came in `ms`. Rejects with `signal.reason` when aborted. */
  async next(ms: number, signal: AbortSignal): Promise<T | undefined> {
    signal.throwIfAborted()
    if (this.#waiting.length === 0 && this.#last === undefined) await this.#wait(ms, signal)
    return this.#waiting.shift() ?? this.#last
  }

  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    this.#arrival = Promise.withResolvers<void>()
    const arrived = new AbortController()
    const timeUp = this.#clock.sleep(ms, AbortSignal.any([signal, arrived.signal]))
    try {
      await Promise.race([this.#arrival.promise, timeUp])
    } finally {
      timeUp.catch(() => {})
      arrived.abort(OVER)
    }
  }
}
