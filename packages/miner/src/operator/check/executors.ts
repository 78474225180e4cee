/** The `check` lines about a pool: an executor with the pool's settings checks the host that it runs on. */

import { bad, type Finding, ok, warn } from '@horde/kit/check/finding'
import { createLog } from '@horde/kit/log'
import { systemClock as clock, withDeadline } from '@horde/kit/time'
import { CLASSES } from '@horde/protocol/classes'
import type { MinerConfig } from '../../config.ts'
import { exitCodeOf } from '../../horde/manager.ts'
import { openManager } from '../../horde/open-manager.ts'
import { environmentOf, type PoolSettings } from '../../horde/pools/pool-settings.ts'
import { lookAtGpus } from '../watches/gpus.ts'
import { gpuPool } from '../watches/used-gpus.ts'

/** How long an executor may take to check its host, in milliseconds. */
const CHECK_MS = 120_000

/** @param owner the owner of the executor that is started. Not the miner's, whose executors must not be disturbed */
export async function* poolFindings(pool: PoolSettings, config: MinerConfig, owner: string): AsyncGenerator<Finding> {
  const subject = `executors of ${pool.name}`
  const { manager: kind, count, environment, gpus } = pool
  const log = createLog('miner', { level: 'warn', destination: process.stderr })
  const { processEnvironment, EXECUTOR_NETWORK: network } = config
  const stopWithinMs = config.EXECUTOR_STOP_SECONDS * 1000
  try {
    const manager = await openManager(pool, {
      ...{ owner, processEnvironment, network, pullImage: false, stopWithinMs, clock, log },
    })
    await using stack = new AsyncDisposableStack()
    stack.defer(() => manager.close?.())
    if (manager.check === undefined) {
      yield warn(subject, `the manager ${kind} cannot check them`, 'look at their hosts yourself')
      return
    }
    yield* gpuFindings(pool)
    yield* await lookAtGpus(gpuPool(pool, manager, config))
    yield ok(subject, `${count} by ${kind}, and what one finds out there:`)
    const executor = await manager.check(environmentOf({ environment, gpus }, 0, false))
    stack.defer(() => executor.stop())
    const exit = Promise.all([executor.exited, exitCodeOf(executor)])
    const [how, code] = await withDeadline(exit, CHECK_MS, 'the check of an executor')
    if (code !== 0) yield bad(subject, `no job can run there (${how})`, 'see what is bad above')
  } catch (error) {
    yield bad(subject, `can not be checked: ${(error as Error).message}`, 'see what is bad above')
  }
}

function* gpuFindings({ name, executorClass, environment, gpus }: PoolSettings): Generator<Finding> {
  if (CLASSES[executorClass].preset !== 'nvidia_all' || gpus.length > 0) return
  if (environment.EXECUTOR_GPU_DEVICE_IDS?.trim() !== 'none') return
  const found = `pool ${name} is of a class with GPUs, ${executorClass}, and EXECUTOR_GPU_DEVICE_IDS=none`
  yield warn('gpus', found, 'jobs that want GPUs fail: name them, or choose another class')
}
