/**
 * Watches the hosts of the executors through the managers of the pools. A bad finding closes the pools that it is
 * about: they take no jobs.
 */
import { type Finding, unknown } from '@horde/kit/check/finding'
import type { Watch, Watched } from '@horde/operator/watch/watches'
import type { Reason } from '@horde/protocol/reasons'
import type { ExecutorManager } from '../../horde/manager.ts'

const EVERY_MS = 60_000
/** How soon a closed pool is checked again, in milliseconds. */
export const AGAIN_MS = 10_000

/** The reason code for a bad finding, by its subject. */
const REASONS: Readonly<Record<string, Reason>> = {
  class: 'class-mismatch',
  database: 'database-away',
  disk: 'disk-full',
  engine: 'engine-away',
  gpus: 'gpus-unwell',
  image: 'executor-image-missing',
}

export type WatchedPool = { name: string; manager: ExecutorManager }

/** The watch that runs at once when an offer finds that a pool cannot start an executor. */
export const POOL_WATCH = 'engine'

export function poolWatch(pools: () => readonly WatchedPool[]): Watch {
  const look = async () => mergeFindings((await Promise.all(pools().map(lookAtPool))).flat())
  return { name: POOL_WATCH, everyMs: EVERY_MS, againMs: AGAIN_MS, look }
}

async function lookAtPool({ name, manager }: WatchedPool): Promise<Finding[]> {
  try {
    return aboutPools([name], (await manager.look?.()) ?? [])
  } catch (error) {
    const found = `pool ${name} could not be looked at: ${(error as Error).message}`
    return aboutPools([name], [unknown(POOL_WATCH, found, 'see whether it works by itself again')])
  }
}

/** Marks findings as being about some pools, so that a bad one closes them. */
export function aboutPools(pools: readonly string[], findings: readonly Finding[]): Finding[] {
  return findings.map(finding => ({ ...finding, pools }))
}

/** Makes a watch of something that all pools need: while it finds a problem, no pool takes jobs. */
export function closing(watch: Watch, pools: () => readonly string[]): Watch {
  return { ...watch, againMs: AGAIN_MS, look: async signal => aboutPools(pools(), await watch.look(signal)) }
}

/** Merges equal findings about several pools into one, such as those about their common engine. */
export function mergeFindings(findings: readonly Finding[]): Finding[] {
  const merged = new Map<string, Finding>()
  for (const finding of findings) {
    const key = [finding.verdict, finding.subject, finding.found].join('\n')
    const pools = [...(merged.get(key)?.pools ?? []), ...(finding.pools ?? [])]
    merged.set(key, { ...finding, pools })
  }
  return [...merged.values()]
}

/** Returns why a pool takes no jobs; undefined when no watch closes it. */
export function closedBy(pool: string, watches: readonly Watched[]): Reason | undefined {
  const [found] = badFindings(pool, watches)
  return found && reasonOf(found)
}

/** Returns whether a pool certainly does not match its class, whatever else closes it. */
export function isMismatched(pool: string, watches: readonly Watched[]): boolean {
  return badFindings(pool, watches).some(found => reasonOf(found) === 'class-mismatch')
}

/** Returns the bad findings about a pool. */
function badFindings(pool: string, watches: readonly Watched[]): Finding[] {
  const findings = watches.flatMap(each => each.findings)
  return findings.filter(({ verdict, pools }) => verdict === 'bad' && pools?.includes(pool))
}

/** An operator's own manager may report subjects that have no reason code. */
function reasonOf({ subject }: Finding): Reason {
  return REASONS[subject] ?? 'host-unwell'
}
