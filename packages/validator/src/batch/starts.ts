import type { Clock } from '@horde/kit/time'

export interface StartLimits {
  /** How many jobs run at once at most. */
  atOnce: number
  /** How many jobs start in a second at most: what comes back from them all comes in a stream, not in one burst. */
  perSecond: number
}

/** Lets jobs start, in the order in which they ask. */
export class Starts {
  readonly #limits: StartLimits
  readonly #clock: Clock
  readonly #waiting: (() => void)[] = []
  #free: number
  /** When the next job may start, in ms of the monotonic clock. */
  #nextAt = 0

  constructor(limits: StartLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
    this.#free = limits.atOnce
  }

  /**
   * A place to run in, to be disposed of at the job's end; undefined when there is none until `until`, in ms of the monotonic
   * clock. Rejects when aborted.
   */
  async begin(until: number, signal: AbortSignal): Promise<Disposable | undefined> {
    signal.throwIfAborted()
    if (this.#free > 0) this.#free -= 1
    else if (!(await this.#waitForPlace(until, signal))) return undefined
    try {
      if (await this.#waitForTurn(until, signal)) return { [Symbol.dispose]: () => this.#giveBack() }
      this.#giveBack()
      return undefined
    } catch (error) {
      this.#giveBack()
      throw error
    }
  }

  /** False when its turn would come after `until`: it is told so then, and not before. */
  async #waitForTurn(until: number, signal: AbortSignal): Promise<boolean> {
    const now = this.#clock.monotonic()
    const startAt = Math.max(now, this.#nextAt)
    const isInTime = startAt === now || startAt < until
    if (isInTime) this.#nextAt = startAt + 1000 / this.#limits.perSecond
    const waitUntil = isInTime ? startAt : until
    if (waitUntil > now) await this.#clock.sleep(waitUntil - now, signal)
    return isInTime
  }

  async #waitForPlace(until: number, signal: AbortSignal): Promise<boolean> {
    const given = Promise.withResolvers<true>()
    const take = () => given.resolve(true)
    this.#waiting.push(take)
    const over = new AbortController()
    const waitMs = until - this.#clock.monotonic()
    const late = this.#clock.sleep(waitMs, AbortSignal.any([signal, over.signal])).then(() => false)
    let isTaken = false
    try {
      isTaken = await Promise.race([given.promise, late])
      return isTaken
    } finally {
      late.catch(() => {})
      over.abort()
      const place = this.#waiting.indexOf(take)
      if (place >= 0) this.#waiting.splice(place, 1)
      // A place that came in the very moment in which the wait ended is for the next one.
      else if (!isTaken) this.#giveBack()
    }
  }

  #giveBack(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free += 1
  }
}
