/** Gauges whose values are read at each scrape. */
import { Gauge, type Registry } from 'prom-client'
import type { Metrics } from './definitions.ts'

export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

/** Returns no sample when the value is not known. */
export type ReadGauge = () => readonly Sample[]

/** Registers a gauge for each entry of `reads`, with the help and the labels that `metrics` gives it. */
export function addGauges(registry: Registry, metrics: Metrics, reads: Readonly<Record<string, ReadGauge>>): void {
  for (const [name, read] of Object.entries(reads)) {
    const { help = '', labels: labelNames = [] } = metrics[name] ?? {}
    new Gauge<string>({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset()
        // For a gauge without labels, reset() leaves a 0 behind, which would be wrong when the value is not known.
        if (labelNames.length === 0) this.remove()
        for (const [labels, value] of read()) this.set({ ...labels }, value)
      },
    })
  }
}

/** Returns the sample of a gauge without labels. @param per the divisor, such as 1000 from milliseconds to seconds */
export function one(value: number | undefined, per = 1): Sample[] {
  return value === undefined ? [] : [[{}, value / per]]
}
