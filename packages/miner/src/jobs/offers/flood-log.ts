/** Offers that leave no row, in the log: a flood of them must not flood it. */
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { Reason } from '@horde/protocol/reasons'

/** How often a flood is told of, in milliseconds. */
const TELL_EVERY_MS = 60_000

/** The first of a kind is told at once, what follows within a minute together with the first after it. */
export class FloodLog {
  readonly #clock: Clock
  readonly #log: Log
  readonly #floods = new Map<string, { offers: number; toldAt: number }>()

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
  }

  add(validator: string, reason: Reason): void {
    const kind = `${validator} ${reason}`
    const flood = this.#floods.get(kind) ?? { offers: 0, toldAt: Number.NEGATIVE_INFINITY }
    flood.offers += 1
    this.#floods.set(kind, flood)
    const now = this.#clock.monotonic()
    if (now - flood.toldAt < TELL_EVERY_MS) return
    this.#log.info({ validator, reason, offers: flood.offers }, 'offers declined')
    this.#floods.set(kind, { offers: 0, toldAt: now })
  }
}
