import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'

/**
 * Returns a registry with the metrics of the process (memory, CPU, event-loop lag, garbage collection), named
 * `<prefix>_…`. Services add theirs with `new Counter({ name, help, registers: [registry] })`.
 */
export function createMetrics(prefix: string): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: `${prefix}_` })
  return registry
}

export interface LabelledGauge {
  name: string
  help: string
  /** The name of its only label. */
  label: string
  /** Returns the current value for each value of the label. */
  read(): (readonly [value: string, number: number])[]
}

/** Adds a gauge whose values are read at each scrape. */
export function addGauge(registry: Registry, { name, help, label, read }: LabelledGauge): void {
  new Gauge({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      for (const [value, number] of read()) this.set({ [label]: value }, number)
    },
  })
}
