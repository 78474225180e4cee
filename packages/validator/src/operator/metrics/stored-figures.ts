import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { type Clock, withDeadline } from '@horde/kit/time'
import { type Figures, readFigures } from '../../db/overview.ts'
import type { JobCounters } from './job-counters.ts'

/** How long the database may take to answer for one scrape, in milliseconds. After that the last figures are shown. */
const FIGURES_MS = 3_000

export type StoredFiguresDeps = {
  netuid: number
  hotkey: string
  db: Database
  counters: JobCounters
  clock: Clock
  log: Log
}

/** The figures that /metrics takes from the database. */
export class StoredFigures {
  readonly #deps: StoredFiguresDeps
  #last: Figures | undefined
  #reading: Promise<void> | undefined

  constructor(deps: StoredFiguresDeps) {
    this.#deps = deps
  }

  /** What the database answered last; undefined before its first answer. */
  get last(): Figures | undefined {
    return this.#last
  }

  /** Asks the database, once for each scrape. Never rejects: without an answer the last figures stay. */
  async refresh(): Promise<void> {
    const { clock, log } = this.#deps
    try {
      // A read that hangs is not repeated: later scrapes wait for the same one.
      this.#reading ??= this.#read().finally(() => {
        this.#reading = undefined
      })
      await withDeadline(this.#reading, FIGURES_MS, 'figures of the database', clock)
    } catch (err) {
      log.debug({ err }, 'figures of the database could not be read')
    }
  }

  async #read(): Promise<void> {
    const { netuid, hotkey, db, counters } = this.#deps
    await counters.countEnded(db)
    this.#last = await readFigures(db, netuid, hotkey)
  }
}
