import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'

/**
 * A registry with the process's own metrics (memory, CPU, event-loop lag, garbage collection), each named
 * `<prefix>_…`. Services register theirs with `new Counter({ name, help, registers: [registry] })`.
 */
export function createMetrics(prefix: string): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: `${prefix}_` })
  return registry
}

export interface LabelledGauge {
  name: string
  help: string
  /** The name of its one label. */
  label: string
  /** The label's values, each with its number, at the moment of asking. */
  read(): (readonly [value: string, number: number])[]
}

/** Adds numbers that are read whenever somebody looks. */
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
