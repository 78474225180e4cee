import type { Clock } from '@horde/kit/time'

export interface StartLimits {
  /** How many jobs run at once at most. */
  atOnce: number
  /** How many jobs start in a second at most: what comes back from them all comes in a stream, not in one burst. */
  perSecond: number
}

/** Who waits for a place, and how it is told that it has one. */
interface Waiting {
  who: string
  take(): void
}

/**
 * Lets jobs start. A place that gets free goes to whoever has the fewest, and among these to who asked first: nobody takes
 * all places by jobs that never end.
 */
export class Starts {
  readonly #limits: StartLimits
  readonly #clock: Clock
  readonly #waiting: Waiting[] = []
  /** How many places each has. */
  readonly #held = new Map<string, number>()
  #free: number
  /** When the next job may start, in ms of the monotonic clock. */
  #nextAt = 0

  constructor(limits: StartLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
    this.#free = limits.atOnce
  }

  /**
   * A place for `who` to run in, to be disposed of at the job's end; undefined when there is none until `until`, in ms of the monotonic
   * clock. Rejects when aborted.
   */
  async begin(who: string, until: number, signal: AbortSignal): Promise<Disposable | undefined> {
    signal.throwIfAborted()
    if (this.#free > 0) this.#give(who)
    else if (!(await this.#waitForPlace(who, until, signal))) return undefined
    try {
      if (await this.#waitForTurn(until, signal)) return { [Symbol.dispose]: () => this.#giveBack(who) }
      this.#giveBack(who)
      return undefined
    } catch (error) {
      this.#giveBack(who)
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

  async #waitForPlace(who: string, until: number, signal: AbortSignal): Promise<boolean> {
    const given = Promise.withResolvers<true>()
    const waiting = { who, take: () => given.resolve(true) }
    this.#waiting.push(waiting)
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
      const place = this.#waiting.indexOf(waiting)
      if (place >= 0) this.#waiting.splice(place, 1)
      // A place that came in the very moment in which the wait ended is for the next one.
      else if (!isTaken) this.#giveBack(who)
    }
  }

  #give(who: string): void {
    this.#free -= 1
    this.#held.set(who, this.#heldBy(who) + 1)
  }

  #giveBack(who: string): void {
    this.#free += 1
    const left = this.#heldBy(who) - 1
    if (left > 0) this.#held.set(who, left)
    else this.#held.delete(who)
    if (this.#waiting.length === 0) return
    const next = this.#waiting.reduce((best, each) => (this.#heldBy(each.who) < this.#heldBy(best.who) ? each : best))
    this.#waiting.splice(this.#waiting.indexOf(next), 1)
    this.#give(next.who)
    next.take()
  }

  #heldBy(who: string): number {
    return this.#held.get(who) ?? 0
  }
}
