import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { addGauges } from '@horde/kit/metrics/gauges'
import { type Clock, withDeadline } from '@horde/kit/time'
import type { Registry } from 'prom-client'
import { type Figures, readFigures } from '../../db/for-operator/figures.ts'
import type { StatusSources } from '../sources.ts'
import { METRICS } from './definitions.ts'
import { READ_GAUGES } from './gauges.ts'
import { JobTally } from './job-tally.ts'

/** How long the database may take to say its figures, in milliseconds; then the last ones are shown. */
const FIGURES_MS = 3_000

export type MetricsDeps = { sources: StatusSources; db: Database; clock: Clock; log: Log }

/** /metrics of a validator: asks the database once whenever somebody asks for them. */
export class ValidatorMetrics {
  readonly contentType: string
  readonly #registry: Registry
  readonly #deps: MetricsDeps
  readonly #tally: JobTally
  #figures: Figures | undefined
  #reading: Promise<void> | undefined

  constructor(registry: Registry, deps: MetricsDeps) {
    this.contentType = registry.contentType
    this.#registry = registry
    this.#deps = deps
    this.#tally = new JobTally(registry, deps.clock)
    const { sources, clock } = deps
    const reads = Object.entries(READ_GAUGES).map(([name, read]) => {
      return [name, () => read({ sources, figures: this.#figures, nowMs: clock.now() })] as const
    })
    addGauges(registry, METRICS, Object.fromEntries(reads))
  }

  async metrics(): Promise<string> {
    const { clock, log } = this.#deps
    try {
      // A reading that hangs is waited for again, and not repeated.
      this.#reading ??= this.#read().finally(() => {
        this.#reading = undefined
      })
      await withDeadline(this.#reading, FIGURES_MS, 'figures of the database', clock)
    } catch (err) {
      log.debug({ err }, 'figures of the database could not be read')
    }
    return this.#registry.metrics()
  }

  async #read(): Promise<void> {
    const { db, sources } = this.#deps
    await this.#tally.follow(db)
    this.#figures = await readFigures(db, sources.own.netuid, sources.own.hotkey)
  }
}
