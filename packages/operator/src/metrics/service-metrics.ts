import type { Metrics } from '@horde/kit/metrics/definitions'
import { addGauges, type ReadGauge } from '@horde/kit/metrics/gauges'
import type { Registry } from 'prom-client'
import { type ServiceHealth, serviceHealth } from '../admin/health.ts'
import type { ObservedService, ServiceStatus } from '../admin/observed-service.ts'
import { commonGauges } from './common-metrics.ts'

export type ServiceMetricsOptions<S extends ServiceStatus> = {
  /** What the names of the metrics begin with: `miner`. */
  prefix: string
  definitions: Metrics
  service: Pick<ObservedService<S, unknown, unknown>, 'status' | 'lacks' | 'gauges'>
  /** Runs before each scrape; must not reject. */
  beforeScrape?(): Promise<void>
}

/** /metrics of a service. Each scrape takes one status, and every gauge is read from it. */
export class ServiceMetrics<S extends ServiceStatus> {
  readonly contentType: string
  readonly #registry: Registry
  readonly #options: ServiceMetricsOptions<S>
  #scraped: { status: S; health: ServiceHealth } | undefined

  /** @param registry holds the service's counters already, and the process's own metrics */
  constructor(registry: Registry, options: ServiceMetricsOptions<S>) {
    this.contentType = registry.contentType
    this.#registry = registry
    this.#options = options
    const { prefix, definitions, service } = options
    const reads = Object.entries({ ...service.gauges, ...commonGauges(prefix) }).map(
      ([name, read]): [string, ReadGauge] => [
        name,
        () => (this.#scraped ? read(this.#scraped.status, this.#scraped.health) : []),
      ],
    )
    addGauges(registry, definitions, Object.fromEntries(reads))
  }

  async metrics(): Promise<string> {
    const { service, beforeScrape } = this.#options
    await beforeScrape?.()
    const status = service.status()
    this.#scraped = { status, health: serviceHealth(service.lacks(status), status.watches) }
    return this.#registry.metrics()
  }
}
