/** What must be true of the engine and its host before an executor says that it is ready. */
import { type Engine, EngineError, type EngineFacts } from './container.ts'
import { EXECUTOR_LABEL } from './identity.ts'
import { gpuRequest } from './sandbox.ts'

/** This host cannot run jobs as they must be run. */
export class CheckError extends Error {
  override readonly name = 'CheckError'
}

/** This executor's GPUs. */
export type Gpus = 'all' | readonly string[] | undefined

/** Refuses an engine that would ignore the limits a job is given. */
export function checkLimits(facts: EngineFacts): void {
  if (facts.missingLimits.length > 0) {
    throw new CheckError(`the engine does not enforce these limits: ${facts.missingLimits.join(', ')}`)
  }
}

/** The GPUs of this executor by its setting; without one, all where the engine tells of NVIDIA, else none. */
export function gpusOf(setting: string | undefined, facts: Pick<EngineFacts, 'tellsOfNvidia'>): Gpus {
  if (setting === undefined) return facts.tellsOfNvidia ? 'all' : undefined
  if (setting === 'none') return undefined
  return setting === 'all' ? 'all' : setting.split(',')
}

/** No program of this name exists: a container that is asked to run it gets as far as its devices, and no further. */
const NO_PROGRAM = '/compute-horde-gpu-check'

/**
 * Checks that the engine offers the GPUs that this executor was given. An engine that only has NVIDIA's hook does not
 * tell, so it is asked for a container with them, which starts nothing: it is refused either for the devices or for its
 * program.
 */
export async function checkGpus(
  engine: Engine,
  gpus: Exclude<Gpus, undefined>,
  image: string,
  owner: string,
): Promise<void> {
  const id = await engine.createContainer({
    Image: image,
    Entrypoint: [NO_PROGRAM],
    Labels: { [EXECUTOR_LABEL]: owner },
    NetworkDisabled: true,
    HostConfig: { NetworkMode: 'none', LogConfig: { Type: 'none', Config: {} }, DeviceRequests: [gpuRequest(gpus)] },
  })
  try {
    await engine.start(id)
  } catch (error) {
    if (error instanceof EngineError && !error.message.includes(NO_PROGRAM)) {
      throw new CheckError(`the engine does not offer this executor's GPUs: ${error.message}`, { cause: error })
    }
  } finally {
    await engine.removeContainer(id)
  }
}
