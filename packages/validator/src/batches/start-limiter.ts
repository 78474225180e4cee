/** Decides when the jobs of a batch start: together, a few at once, and in fair turns. */
import type { Clock } from '@horde/kit/time'

export interface StartLimits {
  /** How many jobs run at once at most. */
  atOnce: number
  /** How many jobs start in a second at most, so that their results arrive as a stream and not in one burst. */
  perSecond: number
}

interface Request {
  /** Its place in the order of all requests. */
  number: number
  give(): void
}

/**
 * Lets jobs start, through a fair queue: a free slot goes to the owner that holds the fewest, and among those to the
 * one that asked first. An owner with many jobs, or with jobs that never end, cannot take all slots.
 */
export class StartLimiter {
  readonly #limits: StartLimits
  readonly #clock: Clock
  /** The waiting requests of each owner, oldest first. */
  readonly #waiting = new Map<string, Request[]>()
  /** How many slots each owner holds. */
  readonly #held = new Map<string, number>()
  #isOpen: boolean
  #free: number
  #requests = 0
  /** When the next job may start, in ms of the monotonic clock. */
  #nextAt = 0

  /** @param opened until it resolves, requests only queue up. Default: open from the start */
  constructor(limits: StartLimits, clock: Clock, opened?: Promise<void>) {
    this.#limits = limits
    this.#clock = clock
    this.#free = limits.atOnce
    this.#isOpen = opened === undefined
    void opened?.then(() => {
      this.#isOpen = true
      this.#handOut()
    })
  }

  /**
   * Returns a slot for `owner`, to be disposed of at the job's end; undefined when there is none until `until`, in ms
   * of the monotonic clock. Rejects when aborted.
   */
  async begin(owner: string, until: number, signal: AbortSignal): Promise<Disposable | undefined> {
    signal.throwIfAborted()
    if (this.#isOpen && this.#free > 0) this.#take(owner)
    else if (!(await this.#waitForSlot(owner, until, signal))) return undefined
    try {
      if (await this.#waitForStart(until, signal)) return { [Symbol.dispose]: () => this.#giveBack(owner) }
      this.#giveBack(owner)
      return undefined
    } catch (error) {
      this.#giveBack(owner)
      throw error
    }
  }

  /** Waits until this start is far enough from the one before. Returns false at `until` if that is later. */
  async #waitForStart(until: number, signal: AbortSignal): Promise<boolean> {
    const now = this.#clock.monotonic()
    const startAt = Math.max(now, this.#nextAt)
    const isInTime = startAt === now || startAt < until
    if (isInTime) this.#nextAt = startAt + 1000 / this.#limits.perSecond
    const waitUntil = isInTime ? startAt : until
    if (waitUntil > now) await this.#clock.sleep(waitUntil - now, signal)
    return isInTime
  }

  /** Returns false at `until` if no slot was free by then. */
  async #waitForSlot(owner: string, until: number, signal: AbortSignal): Promise<boolean> {
    const given = Promise.withResolvers<true>()
    this.#requests += 1
    const request = { number: this.#requests, give: () => given.resolve(true) }
    this.#waiting.set(owner, [...(this.#waiting.get(owner) ?? []), request])
    const over = new AbortController()
    const waitMs = until - this.#clock.monotonic()
    const late = this.#clock.sleep(waitMs, AbortSignal.any([signal, over.signal])).then(() => false)
    let hasSlot = false
    try {
      hasSlot = await Promise.race([given.promise, late])
      return hasSlot
    } finally {
      late.catch(() => {})
      over.abort()
      // A slot that was given in the moment in which the wait ended goes to the next request.
      if (!this.#withdraw(owner, request) && !hasSlot) this.#giveBack(owner)
    }
  }

  /** Removes a request. Returns false when it had its slot already. */
  #withdraw(owner: string, request: Request): boolean {
    const queue = this.#waiting.get(owner) ?? []
    const index = queue.indexOf(request)
    if (index < 0) return false
    queue.splice(index, 1)
    if (queue.length === 0) this.#waiting.delete(owner)
    return true
  }

  #handOut(): void {
    while (this.#free > 0 && this.#waiting.size > 0) {
      const [owner, queue] = [...this.#waiting].reduce((best, each) => (this.#isBefore(each, best) ? each : best))
      const request = queue[0] as Request
      this.#withdraw(owner, request)
      this.#take(owner)
      request.give()
    }
  }

  #isBefore([owner, [first]]: [string, Request[]], [other, [otherFirst]]: [string, Request[]]): boolean {
    const fewer = this.#heldBy(owner) - this.#heldBy(other)
    return fewer < 0 || (fewer === 0 && (first?.number ?? 0) < (otherFirst?.number ?? 0))
  }

  #take(owner: string): void {
    this.#free -= 1
    this.#held.set(owner, this.#heldBy(owner) + 1)
  }

  #giveBack(owner: string): void {
    this.#free += 1
    const left = this.#heldBy(owner) - 1
    if (left > 0) this.#held.set(owner, left)
    else this.#held.delete(owner)
    if (this.#isOpen) this.#handOut()
  }

  #heldBy(owner: string): number {
    return this.#held.get(owner) ?? 0
  }
}

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
