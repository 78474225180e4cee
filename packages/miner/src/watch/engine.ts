/** The container engines that executors are started by, here and on other hosts, and the images of executors there. */
import { withDeadline } from '@horde/kit/time'
import { bad, type Finding, ok, warn } from '@horde/kit/watch/finding'
import type { Watch } from '@horde/kit/watch/watches'
import { type EngineAddress, engineUrl } from '../horde/docker/engine-address.ts'
import { engineClient } from '../horde/docker/engine-client.ts'

const EVERY_MS = 60_000
/** How long a whole look may take, in milliseconds, the way to another host included. */
const LOOK_MS = 20_000

/** An engine, and what executors need of it. */
export type EngineUse = {
  engine: EngineAddress
  /** Of executors. */
  images: readonly string[]
  /** Whether an image that is not there is pulled. */
  mayPull: boolean
}

export function engineWatch(uses: () => readonly EngineUse[]): Watch {
  return { name: 'engine', everyMs: EVERY_MS, look: async () => (await Promise.all(uses().map(lookAtEngine))).flat() }
}

export async function lookAtEngine(use: EngineUse): Promise<Finding[]> {
  const url = engineUrl(use.engine)
  try {
    return await withDeadline(askEngine(use, url), LOOK_MS, url)
  } catch (error) {
    const advice = 'start Docker there, and let the user of this miner use it (on this machine: the group docker)'
    return [bad('engine', `Docker at ${url} is away: ${(error as Error).message}`, advice)]
  }
}

/** On a connection of its own: what is remembered of an older one says nothing about now. */
async function askEngine({ engine, images, mayPull }: EngineUse, url: string): Promise<Finding[]> {
  await using client = await engineClient(engine)
  const { version } = await client.facts()
  const found = [ok('engine', `Docker ${version} answers at ${url}`)]
  for (const image of images) {
    const isThere = await client.hasImage(image)
    found.push(isThere ? ok('image', `${image} is there`) : missingImage(image, mayPull))
  }
  return found
}

function missingImage(image: string, mayPull: boolean): Finding {
  const advice = `docker pull ${image}, or make it with docker/build-images.sh executor`
  if (mayPull) return warn('image', `${image} is not there: executors wait until it is pulled`, advice)
  return bad('image', `${image} is not there, and DEBUG_SKIP_PULLING_EXECUTOR_IMAGE says not to pull it`, advice)
}
