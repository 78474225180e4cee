import { randomInt } from 'node:crypto'
import type { ServingMiner } from '../miner/serving.ts'

/**
 * The miners in an order that nobody can foresee, those of one host one behind the other: the jobs of hotkeys that share a
 * machine are to run at once, also where not all of a batch's jobs do.
 */
export function shuffledByHost(miners: readonly ServingMiner[]): ServingMiner[] {
  const byHost = Map.groupBy(miners, ({ address }) => address.slice(0, address.lastIndexOf(':')))
  const groups = [...byHost.values()]
  for (let i = groups.length - 1; i > 0; i -= 1) {
    const j = randomInt(i + 1)
    const [a, b] = [groups[i] ?? [], groups[j] ?? []]
    groups[i] = b
    groups[j] = a
  }
  return groups.flat()
}
