import { collectDefaultMetrics, Registry } from 'prom-client'

/**
 * Returns a registry with the process's own metrics (memory, CPU, event-loop lag, garbage collection), each named
 * `<prefix>_…`. Services register theirs with `new Counter({ name, help, registers: [registry] })`.
 */
export function createMetrics(prefix: string): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: `${prefix}_` })
  return registry
}
