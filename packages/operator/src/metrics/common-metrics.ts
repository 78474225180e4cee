/** The metrics that every service has: of the chain, of what its watches measured, and of its health. */
import type { MetricDefinition, Metrics } from '@horde/kit/metrics/definitions'
import { one, type Sample } from '@horde/kit/metrics/gauges'
import type { ServiceHealth } from '../admin/health.ts'
import type { ServiceStatus } from '../admin/observed-service.ts'
import { measured, verdicts, watchAges } from './watch-gauges.ts'

type Gauge = MetricDefinition & { readonly type: 'gauge' }

function gauge(help: string, labels: readonly string[] = []): Gauge {
  return { type: 'gauge', labels, help }
}

const COMMON = {
  chain_connected: gauge('1 while there is a connection to the chain.'),
  chain_block: gauge('The best block that this service has received.'),
  chain_block_age_seconds: gauge('Seconds since a new block was received.'),
  registered: gauge("1 when the service's hotkey is registered on the subnet. Absent before the chain has answered."),
  clock_offset_seconds: gauge("How far this machine's clock is ahead of the chain's; negative: behind."),
  disk_free_bytes: gauge('Free space on each disk in use, by what is stored there.', ['disk']),
  database_seconds: gauge('How long the database took for its last answer.'),
  database_bytes: gauge('The size of the database, without its write-ahead log.'),
  watch_verdict: gauge('What each watch found last: 0 ok, 1 a warning, 2 bad.', ['watch']),
  watch_age_seconds: gauge('Seconds since each watch last looked.', ['watch']),
  ready: gauge('1 when /health says ready.'),
}

type CommonName = keyof typeof COMMON

const READ: Readonly<Record<CommonName, (status: ServiceStatus, health: ServiceHealth) => Sample[]>> = {
  chain_connected: ({ chain }) => one(Number(chain.connected)),
  chain_block: ({ chain }) => one(chain.lastBlock?.number),
  chain_block_age_seconds: ({ chain: { lastBlock }, nowMs }) => {
    return one(lastBlock ? nowMs - lastBlock.seenAtMs : undefined, 1_000)
  },
  registered: ({ uid }) => one(uid === undefined ? undefined : Number(uid !== null)),
  clock_offset_seconds: ({ watches }) => measured(watches, 'clock'),
  disk_free_bytes: ({ watches }) => measured(watches, 'disk').map(([{ of = '' }, free]) => [{ disk: of }, free]),
  database_seconds: ({ watches }) => measured(watches, 'database').slice(0, 1),
  database_bytes: ({ watches }) => measured(watches, 'database').slice(1),
  watch_verdict: ({ watches }) => verdicts(watches),
  watch_age_seconds: ({ watches, nowMs }) => watchAges(watches, nowMs),
  ready: (_, { ready }) => one(Number(ready)),
}

/** Returns the definitions of the common metrics, each named `<prefix>_…`. */
export function commonMetrics<P extends string>(prefix: P): Readonly<Record<`${P}_${CommonName}`, Gauge>> {
  const named = Object.entries(COMMON).map(([name, definition]) => [`${prefix}_${name}`, definition])
  return Object.fromEntries(named) as Record<`${P}_${CommonName}`, Gauge>
}

/** Returns the readers of the common metrics, by the same names. */
export function commonGauges(prefix: string): Readonly<Record<keyof Metrics, (typeof READ)[CommonName]>> {
  return Object.fromEntries(Object.entries(READ).map(([name, read]) => [`${prefix}_${name}`, read]))
}
