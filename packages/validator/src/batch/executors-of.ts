import { type ExecutorClass, isExecutorClass } from '@horde/protocol/classes'
import type { Manifest } from '../miner/link.ts'

/**
 * The executors that a manifest lists, one entry each by its class, in the manifest's order and at most `max`; classes that
 * we do not know are passed over. A miner that told none has one of no named class.
 */
export function executorsOf(manifest: Manifest | undefined, max: number): (ExecutorClass | undefined)[] {
  if (!manifest) return [undefined]
  const executors: ExecutorClass[] = []
  for (const { executor_class: name, count } of manifest) {
    if (!isExecutorClass(name)) continue
    for (let i = 0; i < count && executors.length < max; i += 1) executors.push(name)
  }
  return executors
}
