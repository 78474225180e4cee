/** What a pool of executors is: some places of one hardware class, and how executors come to be there. */

import type { EngineAddress } from '@horde/engine/engine-address'
import type { ExecutorClass } from '@horde/protocol/classes'

export type PoolSettings = {
  /** Unique among a miner's pools. */
  name: string
  executorClass: ExecutorClass
  /** How many executors may run at once. */
  count: number
  /** How many executors are kept started and connected, so that a job need not wait for a start. */
  warm: number
  /** docker, process, or the path of a module of the operator's own. */
  manager: string
  /** The image of an executor, for docker. */
  image: string
  /** Where the container engine is, for docker. */
  engine: EngineAddress
  /** The GPUs of each place, by device id. Empty: executors are told of none by their place. */
  gpus: readonly (readonly string[])[]
  /** Variables for the environment of its executors. */
  environment: Readonly<Record<string, string>>
  /** The host that its executors dial to reach this miner. Undefined: what the miner's settings say. */
  address: string | undefined
}

/** The setting of an executor by which it is told of its own GPUs. */
const GPU_VARIABLE = 'EXECUTOR_GPU_DEVICE_IDS'
/** The setting of an executor that is started before its job is known. */
const AHEAD_VARIABLE = 'PREPARE_AHEAD'

/** The environment of an executor in a place of a pool. */
export function environmentOf(
  { environment, gpus }: Pick<PoolSettings, 'environment' | 'gpus'>,
  place: number,
  ahead: boolean,
): Record<string, string> {
  const own = gpus[place]
  return {
    ...environment,
    ...(own && { [GPU_VARIABLE]: own.join(',') }),
    ...(ahead && { [AHEAD_VARIABLE]: 'true' }),
  }
}

/** Whether executors of both settings are the same but for how many there are: then a pool may go from one to the other. */
export function areAlike(a: PoolSettings, b: PoolSettings): boolean {
  const kind = ({ executorClass, manager, image, engine, address }: PoolSettings) =>
    JSON.stringify([executorClass, manager, image, engine, address])
  return kind(a) === kind(b)
}
