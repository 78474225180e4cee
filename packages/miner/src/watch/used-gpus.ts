import { CLASSES } from '@horde/protocol/classes'
import type { PoolSettings } from '../horde/pools/pool-settings.ts'

/** The GPUs of this machine that executors use: `all`, or device ids; empty where there are none, or none that is known. */
export function usedGpus(pools: readonly PoolSettings[]): 'all' | string[] {
  const used = pools.filter(isHere).flatMap(gpusOf)
  return used.includes('all') ? 'all' : [...new Set(used)]
}

/** Not on another host, nor where only a module of the operator's own knows. */
function isHere({ manager, engine }: PoolSettings): boolean {
  return manager === 'process' || (manager === 'docker' && 'socket' in engine)
}

/** Without a word about GPUs, executors of a class that has some use all that there are. */
function gpusOf({ gpus, environment, executorClass }: PoolSettings): string[] {
  if (gpus.length > 0) return gpus.flat()
  const named = environment.EXECUTOR_GPU_DEVICE_IDS?.trim()
  if (named === 'none') return []
  if (named) return named.split(',').map(id => id.trim())
  return CLASSES[executorClass].preset === 'nvidia_all' ? ['all'] : []
}
