/** This executor's GPUs, and whether the engine offers them. */
import { randomUUID } from 'node:crypto'
import type { Engine } from '@horde/engine/engine'
import { isRefusal } from '@horde/engine/engine-error'
import type { Log } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { EXECUTOR_LABEL } from '@horde/protocol/executor-labels'
import { isAnswered } from '../engine/engine-restart.ts'
import { gpuRequest } from '../engine/sandbox.ts'
import { CheckError } from './check-error.ts'

export type Gpus = 'all' | readonly string[] | undefined

/** The GPUs of this executor by its setting; without one, all where the engine tells of NVIDIA, else none. */
export function gpusOf(setting: string | undefined, facts: { tellsOfNvidia: boolean }): Gpus {
  if (setting === undefined) return facts.tellsOfNvidia ? 'all' : undefined
  if (setting === 'none') return undefined
  return setting === 'all' ? 'all' : setting.split(',')
}

/**
 * The GPUs that an executor was given, and that the engine must offer: undefined where it has none, or only those that the
 * engine tells of, as it does wherever NVIDIA's toolkit is installed.
 */
export function givenGpus(setting: string | undefined): Gpus {
  return setting === undefined ? undefined : gpusOf(setting, { tellsOfNvidia: false })
}

/** No program of this name exists: a container that is asked to run it gets as far as its devices, and no further. */
const NO_PROGRAM = '/compute-horde-gpu-check'

/** What is needed to ask the engine for GPUs. */
export interface GpuProbe {
  gpus: Exclude<Gpus, undefined>
  /** Any image that the engine has. */
  image: string
  /** The engine's runtime that jobs run in; undefined: its default. */
  runtime: string | undefined
  /** The value of the label that names this executor. */
  owner: string
  log: Log
}

/**
 * Asks the engine for a container with the GPUs, which starts nothing: it is refused either for the devices, then this
 * rejects with CheckError, or for its program.
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
    const onLate = () => log.warn('the engine is late; a container that it still makes is waited for, to be removed')
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
