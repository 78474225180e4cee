/** What the managers of the pools find where their executors run. What is bad there closes the pool that it was found for. */
import { type Finding, unknown } from '@horde/kit/check/finding'
import type { Watch } from '@horde/operator/watch/watches'
import type { ExecutorManager } from '../../horde/manager.ts'

const EVERY_MS = 60_000
/** How soon a pool that was closed is looked at again, in milliseconds. */
export const AGAIN_MS = 10_000

export type WatchedPool = { name: string; manager: ExecutorManager }

/** The name by which an offer that finds a pool unable has it looked at. */
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

/** Says of the findings that they are about some pools: what is bad closes them. */
export function aboutPools(pools: readonly string[], findings: readonly Finding[]): Finding[] {
  return findings.map(finding => ({ ...finding, pools }))
}

/** A watch over what all pools need: while it finds something bad they take no jobs. */
export function closing(watch: Watch, pools: () => readonly string[]): Watch {
  return { ...watch, againMs: AGAIN_MS, look: async signal => aboutPools(pools(), await watch.look(signal)) }
}

/** One finding for all pools of which the same was found: those of one engine. */
export function mergeFindings(findings: readonly Finding[]): Finding[] {
  const merged = new Map<string, Finding>()
  for (const finding of findings) {
    const key = [finding.verdict, finding.subject, finding.found].join('\n')
    const pools = [...(merged.get(key)?.pools ?? []), ...(finding.pools ?? [])]
    merged.set(key, { ...finding, pools })
  }
  return [...merged.values()]
}
