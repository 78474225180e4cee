import { CLASSES } from '@horde/protocol/classes'
import type { MinerConfig } from '../config.ts'
import type { ExecutorManager } from '../horde/manager.ts'
import type { PoolSettings } from '../horde/pools/pool-settings.ts'
import type { GpuPool } from './gpus.ts'

/** The GPUs that the executors of a pool use: `all`, or device ids; empty where they use none, or only the operator's module knows. */
export function usedGpus(pool: PoolSettings): 'all' | string[] {
  if (pool.manager !== 'process' && pool.manager !== 'docker') return []
  const used = gpusOf(pool)
  return used.includes('all') ? 'all' : [...new Set(used)]
}

export function gpuPool(
  settings: PoolSettings,
  manager: ExecutorManager,
  { CLASS_MISMATCH }: Pick<MinerConfig, 'CLASS_MISMATCH'>,
): GpuPool {
  const { name, executorClass, count: executors, gpus } = settings
  const claim = { executorClass, executors, isShared: gpus.length === 0, isInsisted: CLASS_MISMATCH === 'warn' }
  return { name, manager, used: usedGpus(settings), isGivenItsOwn: settings.manager === 'docker', claim }
}

/** Without a word about GPUs, executors of a class that has some use all that there are. */
function gpusOf({ gpus, environment, executorClass }: PoolSettings): string[] {
  if (gpus.length > 0) return gpus.flat()
  const named = environment.EXECUTOR_GPU_DEVICE_IDS?.trim()
  if (named === 'none') return []
  if (named) return named.split(',').map(id => id.trim())
  return CLASSES[executorClass].preset === 'nvidia_all' ? ['all'] : []
}
