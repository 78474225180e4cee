/**
 * Pins validators that sign their offers and work: from then on only signed ones count, on all of their connections.
 * A pin lasts for 7 days from the last good signature. It is not kept for each connection, because whoever puts frames
 * into a validator's connection can also open one: an authentication can be used again for 10 s.
 */
import type { Database } from '@horde/kit/database'
import type { Clock } from '@horde/kit/time'
import { pinnedUntil, storePin } from '../db/receipts.ts'

/** Longer than a weekend without jobs, and short enough to end without the operator. */
const PINNED_MS = 7 * 86_400_000
/** How old a stored pin may be before it is stored again, in milliseconds: a good signature comes with every frame. */
const STORE_EVERY_MS = 3_600_000

export class Pins {
  readonly #db: Database
  readonly #clock: Clock
  /** When each validator's pin was stored last. */
  readonly #storedAt = new Map<string, number>()

  constructor(db: Database, clock: Clock) {
    this.#db = db
    this.#clock = clock
  }

  /** Pins a validator, because of a good signature. */
  async pin(validator: string): Promise<void> {
    const now = this.#clock.now()
    const storedAt = this.#storedAt.get(validator)
    if (storedAt !== undefined && now - storedAt < STORE_EVERY_MS) return
    await storePin(this.#db, validator, new Date(now + PINNED_MS))
    this.#storedAt.set(validator, now)
  }

  /** Asks the database, because a command may have lifted the pin. */
  async isPinned(validator: string): Promise<boolean> {
    const until = await pinnedUntil(this.#db, validator)
    // A pin that was lifted is stored again with the next good signature.
    if (until === undefined) this.#storedAt.delete(validator)
    return until !== undefined && until.getTime() > this.#clock.now()
  }
}
