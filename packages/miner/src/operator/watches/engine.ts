/** Findings about the container engines that start executors, here and on other hosts, and about their images. */

import { bad, type Finding, ok, warn } from '@horde/kit/check/finding'
import { withDeadline } from '@horde/kit/time'
import { type EngineAddress, engineUrl } from '../../horde/docker/engine-address.ts'
import { type EngineClient, engineClient } from '../../horde/docker/engine-client.ts'

/** How long a whole check may take, in milliseconds, including the connection to another host. */
const LOOK_MS = 20_000

/** An engine, and what it must have to start executors. */
export type EngineUse = {
  engine: EngineAddress
  /** The images of the executors. */
  images: readonly string[]
  /** Whether a missing image is pulled. */
  mayPull: boolean
}

/** Checks an engine over a connection of its own, for the command `check`. */
export async function lookAtEngine({ engine, images, mayPull }: EngineUse): Promise<Finding[]> {
  const url = engineUrl(engine)
  try {
    await using client = await engineClient(engine)
    return await lookThrough(client, async () => {
      const found = images.map(async image => {
        return (await client.findImage(image)) ? ok('image', `${image} is there`) : missingImage(image, mayPull)
      })
      return Promise.all(found)
    })
  } catch (error) {
    return [engineAway(url, error as Error)]
  }
}

/** Checks whether an engine answers, then adds the findings of `more`. Never rejects. */
export async function lookThrough(client: EngineClient, more: () => Promise<Finding[]>): Promise<Finding[]> {
  const look = async () => {
    const { version } = await client.facts()
    return [ok('engine', `Docker ${version} answers at ${client.url}`), ...(await more())]
  }
  return withDeadline(look(), LOOK_MS, client.url).catch(error => [engineAway(client.url, error as Error)])
}

function engineAway(url: string, error: Error): Finding {
  const advice = 'start Docker there, and let the user of this miner use it (on this machine: the group docker)'
  return bad('engine', `Docker at ${url} is away: ${error.message}`, advice)
}

function missingImage(image: string, mayPull: boolean): Finding {
  const advice = `docker pull ${image}, or make it with docker/build-images.sh executor`
  if (mayPull) return warn('image', `${image} is not there: executors wait until it is pulled`, advice)
  return bad('image', `${image} is not there, and DEBUG_SKIP_PULLING_EXECUTOR_IMAGE says not to pull it`, advice)
}
