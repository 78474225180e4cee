/** What a service hands over to its operator: one status, from which health, gauges, JSON and page all derive. */
import type { Sample } from '@horde/kit/metrics/gauges'
import { type Clock, withDeadline } from '@horde/kit/time'
import { version } from '@horde/kit/version'
import type { PageContent } from '../page/status-page.ts'
import type { Watched } from '../watch/watches.ts'
import { type Lacks, type ServiceHealth, serviceHealth } from './health.ts'

/** How long the database may take to answer for /status, in milliseconds. */
const STORED_MS = 3_000

/** The part of a status that every service has. */
export type ServiceStatus = {
  /** When this status was taken, since the epoch, in milliseconds. */
  nowMs: number
  /** When the service started, since the epoch, in milliseconds. */
  startedAtMs: number
  hotkey: string
  netuid: number
  /** The hotkey's uid. Null: not registered; undefined: the chain has not answered yet. */
  uid: number | null | undefined
  chain: {
    connected: boolean
    /** The node's URL; null while there is no connection. */
    endpoint: string | null
    lastBlock: { number: number; seenAtMs: number } | null
  }
  watches: readonly Watched[]
}

export type ObservedService<Status extends ServiceStatus, Stored, Json> = {
  /** Reads the status from memory, so it never waits for the chain or the database. */
  status(): Status
  lacks(status: Status): Lacks
  /** Reads what only the database knows, for JSON and page. */
  stored(): Promise<Stored>
  /** Returns what /status.json answers. `stored` is null while the database does not answer. */
  json(status: Status, health: ServiceHealth, stored: Stored | null): Json
  page(json: Json): PageContent
  /** The gauges that only this service has, by name. */
  gauges: Readonly<Record<string, (status: Status) => Sample[]>>
}

export function healthOf<S extends ServiceStatus>(
  service: Pick<ObservedService<S, unknown, unknown>, 'status' | 'lacks'>,
): ServiceHealth {
  const status = service.status()
  return serviceHealth(service.lacks(status), status.watches)
}

/** Returns what /status.json answers. While the database does not answer, the rest is still shown. */
export async function jsonOf<S extends ServiceStatus, Stored, Json>(
  service: ObservedService<S, Stored, Json>,
  clock: Clock,
): Promise<Json> {
  const stored = await withDeadline(service.stored(), STORED_MS, 'the database', clock).catch(() => null)
  const status = service.status()
  return service.json(status, serviceHealth(service.lacks(status), status.watches), stored)
}

export type ChainJson = {
  connected: boolean
  /** The node's host and port. */
  node: string | null
  block: number | null
  blockSeenSecondsAgo: number | null
}

export function chainJson({ chain: { connected, endpoint, lastBlock }, nowMs }: ServiceStatus): ChainJson {
  return {
    connected,
    // Without path and query, where providers put keys.
    node: endpoint && (URL.parse(endpoint)?.host ?? 'unknown'),
    block: lastBlock?.number ?? null,
    blockSeenSecondsAgo: lastBlock ? wholeSeconds(nowMs - lastBlock.seenAtMs) : null,
  }
}

export type ProcessJson = { version: string; node: string; startedAt: string; uptimeSeconds: number }

export function processJson({ startedAtMs, nowMs }: ServiceStatus): ProcessJson {
  return {
    version,
    node: process.version,
    startedAt: new Date(startedAtMs).toISOString(),
    uptimeSeconds: wholeSeconds(nowMs - startedAtMs),
  }
}

/** @param ms a duration, in milliseconds; negative ones count as 0 */
export function wholeSeconds(ms: number): number {
  return Math.max(0, Math.round(ms / 1_000))
}
