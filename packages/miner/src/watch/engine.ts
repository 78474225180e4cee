/** The container engines that executors are started by, and the image of executors there. */
import { bad, type Finding, ok, warn } from './finding.ts'
import type { Watch } from './watches.ts'

const EVERY_MS = 60_000

export type EngineFacts = {
  version: string
  /** Where it keeps images and containers, on its own machine. */
  dataFolder: string
  /** The runtimes that it names. */
  runtimes: readonly string[]
}

/** What is asked of an engine here. Both calls reject with an Error for the operator when it does not answer. */
export interface Engine {
  /** For people: where it is. */
  readonly name: string
  /** Whether it is this machine's, so that its folders are to be seen here. */
  readonly isHere: boolean
  facts(signal: AbortSignal): Promise<EngineFacts>
  hasImage(image: string, signal: AbortSignal): Promise<boolean>
}

/** An engine, and what executors need of it. */
export type EngineUse = {
  engine: Engine
  /** Of executors. */
  images: readonly string[]
  /** Whether an image that is not there is pulled. */
  mayPull: boolean
}

export function engineWatch(uses: () => readonly EngineUse[]): Watch {
  const look = async (signal: AbortSignal) => (await Promise.all(uses().map(use => lookAtEngine(use, signal)))).flat()
  return { name: 'engine', everyMs: EVERY_MS, look }
}

export async function lookAtEngine({ engine, images, mayPull }: EngineUse, signal: AbortSignal): Promise<Finding[]> {
  try {
    const { version } = await engine.facts(signal)
    const found = [ok('engine', `Docker ${version} answers at ${engine.name}`)]
    for (const image of images) {
      const isThere = await engine.hasImage(image, signal)
      found.push(isThere ? ok('image', `${image} is there`) : missingImage(image, mayPull))
    }
    return found
  } catch (error) {
    const advice = 'start Docker there, and let the user of this miner use it (on this machine: the group docker)'
    return [bad('engine', `Docker does not answer at ${engine.name} (${(error as Error).message})`, advice)]
  }
}

function missingImage(image: string, mayPull: boolean): Finding {
  const advice = `docker pull ${image}, or make it with docker/build-images.sh executor`
  if (mayPull) return warn('image', `${image} is not there: executors wait until it is pulled`, advice)
  return bad('image', `${image} is not there, and DEBUG_SKIP_PULLING_EXECUTOR_IMAGE says not to pull it`, advice)
}
