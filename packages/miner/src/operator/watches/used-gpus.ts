import { existsSync } from 'node:fs'
import { release } from 'node:os'
import { CLASSES } from '@horde/protocol/classes'
import type { MinerConfig } from '../../config.ts'
import type { ExecutorManager } from '../../horde/manager.ts'
import type { PoolSettings } from '../../horde/pools/pool-settings.ts'
import type { GpuPool } from './gpus.ts'

/** The driver's folder, which containers see too. */
const DRIVER = '/proc/driver/nvidia'

/** Returns `all` or the device ids that a pool's executors use. Empty: none, or an operator's own manager knows. */
export function usedGpus(pool: PoolSettings): 'all' | string[] {
  if (pool.manager !== 'process' && pool.manager !== 'docker') return []
  const used = gpusOf(pool)
  return used.includes('all') ? 'all' : [...new Set(used)]
}

export function gpuPool(
  settings: PoolSettings,
  manager: ExecutorManager,
  { CLASS_MISMATCH, processEnvironment }: Pick<MinerConfig, 'CLASS_MISMATCH' | 'processEnvironment'>,
): GpuPool {
  const { name, executorClass, count: executors, gpus } = settings
  const claim = { executorClass, executors, isShared: gpus.length === 0, isInsisted: CLASS_MISMATCH === 'warn' }
  // The engine that executors in processes use may be on another machine.
  const { DOCKER_HOST } = { ...processEnvironment, ...settings.environment }
  const isHere = settings.manager === 'process' && !DOCKER_HOST
  return {
    ...{ name, manager, used: usedGpus(settings), isGivenItsOwn: settings.manager === 'docker', claim },
    ...(isHere && { hasDriver: hasDriverHere }),
  }
}

/** Returns whether this machine's kernel has NVIDIA's driver; undefined under WSL, which has it elsewhere. */
function hasDriverHere(): boolean | undefined {
  if (existsSync(DRIVER)) return true
  return /microsoft/i.test(release()) ? undefined : false
}

/** Without a setting, executors of a class with GPUs use all GPUs. */
function gpusOf({ gpus, environment, executorClass }: PoolSettings): string[] {
  if (gpus.length > 0) return gpus.flat()
  const named = environment.EXECUTOR_GPU_DEVICE_IDS?.trim()
  if (named === 'none') return []
  if (named) return named.split(',').map(id => id.trim())
  return CLASSES[executorClass].preset === 'nvidia_all' ? ['all'] : []
}
