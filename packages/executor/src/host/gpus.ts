/** This executor's GPUs, and whether the engine offers them. */
import { randomUUID } from 'node:crypto'
import { gpuRequest } from '@horde/engine/containers'
import type { Engine } from '@horde/engine/engine'
import { isRefusal } from '@horde/engine/engine-error'
import type { Log } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { EXECUTOR_LABEL } from '@horde/protocol/executor/labels'
import { isAnswered } from '../container/engine-restart.ts'
import { CheckError } from './check-error.ts'

export type Gpus = 'all' | readonly string[] | undefined

/** Returns the GPUs of this executor by its setting; without one, all where the engine reports NVIDIA, else none. */
export function gpusOf(setting: string | undefined, facts: { reportsNvidia: boolean }): Gpus {
  if (setting === undefined) return facts.reportsNvidia ? 'all' : undefined
  if (setting === 'none') return undefined
  return setting === 'all' ? 'all' : setting.split(',')
}

/**
 * Returns the GPUs that the setting gives to this executor, which the engine must then offer. Undefined without a
 * setting: an engine reports NVIDIA wherever its toolkit is installed, also without a GPU.
 */
export function givenGpus(setting: string | undefined): Gpus {
  return setting === undefined ? undefined : gpusOf(setting, { reportsNvidia: false })
}

/** No program has this name, so the start of the container fails after its devices were added. */
const NO_PROGRAM = '/compute-horde-gpu-check'

/** What a request for GPUs needs. */
export interface GpuProbe {
  gpus: Exclude<Gpus, undefined>
  /** Any image that the engine has. */
  image: string
  /** The engine's runtime for jobs; undefined for its default. */
  runtime: string | undefined
  /** The value of the label that names this executor. */
  owner: string
  log: Log
}

/**
 * Checks that the engine offers these GPUs, without running a program. The start of the container always fails. If it
 * fails because of the devices, this rejects with CheckError. If it fails because of the program, the GPUs exist.
 */
export async function probeGpus(engine: Engine, { gpus, image, runtime, owner, log }: GpuProbe): Promise<void> {
  const name = `compute-horde-gpu-check-${randomUUID()}`
  const options = {
    Image: image,
    Entrypoint: [NO_PROGRAM],
    Labels: { [EXECUTOR_LABEL]: owner },
    NetworkDisabled: true,
    HostConfig: {
      NetworkMode: 'none',
      LogConfig: { Type: 'none', Config: {} },
      DeviceRequests: [gpuRequest(gpus)],
      ...(runtime === undefined ? {} : { Runtime: runtime }),
    },
  }
  const created = engine.containers.create(options, name)
  try {
    await created
  } catch (error) {
    const onLate = () => log.warn('the engine is late; waiting for a container that it still creates, to remove it')
    if (await isAnswered(created, systemClock, onLate)) await engine.containers.remove(name).catch(() => {})
    throw error
  }
  try {
    await engine.containers.start(name, NO_PROGRAM)
  } catch (error) {
    if (!isRefusal(error)) throw error
    if (error.problem === 'cannot-run') return
    throw new CheckError(`the engine does not offer this executor's GPUs: ${error.message}`, { cause: error })
  } finally {
    await engine.containers.remove(name)
  }
}
