/** A rate with bursts: so many at once, and so many more a minute. */
import type { Clock } from '@horde/kit/time'

const MINUTE_MS = 60_000

export type Rate = { perMinute: number; atOnce: number }

export class TokenBucket {
  readonly #rate: Rate
  readonly #clock: Clock
  #tokens: number
  #at: number

  constructor(rate: Rate, clock: Clock) {
    this.#rate = rate
    this.#clock = clock
    this.#tokens = rate.atOnce
    this.#at = clock.monotonic()
  }

  /** False when there is none. */
  take(): boolean {
    this.#fill()
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  #fill(): void {
    const now = this.#clock.monotonic()
    const fresh = ((now - this.#at) / MINUTE_MS) * this.#rate.perMinute
    this.#tokens = Math.min(this.#rate.atOnce, this.#tokens + fresh)
    this.#at = now
  }
}
