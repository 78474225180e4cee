/** Which image a name means, and getting it. */
import type { Log } from '@horde/kit/log'
import { DeadlineError } from '@horde/kit/time'
import type { Engine, ImageFacts } from './container.ts'

/** An image that is neither here nor to be had. */
export class ImageError extends Error {
  override readonly name = 'ImageError'
}

const PART = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*'
const REGISTRY = '(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\\[[A-Fa-f0-9:]+\\])(?::\\d+)?'
const TAG = '\\w[\\w.-]{0,127}'
const DIGEST = 'sha256:[a-f0-9]{64}'
/** Docker's grammar of image names: what does not follow it never gets into a request to the engine. */
const IMAGE_NAME = new RegExp(`^(?:${REGISTRY}/)?${PART}(?:/${PART})*(?::${TAG})?(?:@${DIGEST})?$`)

const MAX_NAME_CHARACTERS = 512

export function isImageName(name: string): boolean {
  return name.length <= MAX_NAME_CHARACTERS && IMAGE_NAME.test(name)
}

/** The name as the engine takes it: without a tag or digest it means `latest`, never all tags. */
export function withTag(name: string): string {
  const last = name.slice(name.lastIndexOf('/') + 1)
  return last.includes(':') || last.includes('@') ? name : `${name}:latest`
}

/** The image to use for a name, by the aliases (`wanted=used`) of this host. */
export function resolveAlias(name: string, aliases: readonly string[]): string {
  const wanted = withTag(name)
  for (const alias of aliases) {
    const [from = '', to = ''] = alias.split('=')
    if (withTag(from) === wanted) return withTag(to)
  }
  return wanted
}

export interface ImageOptions {
  aliases: readonly string[]
  pullMs: number
  log: Log
}

/** An image that the engine has. */
export interface ReadyImage extends ImageFacts {
  name: string
}

/**
 * Makes sure that the engine has an image: one that is there is used as it is, so that a host without a registry works,
 * and any other is pulled within `pullMs`. Rejects with ImageError.
 */
export async function ensureImage(
  engine: Engine,
  name: string,
  options: ImageOptions,
  signal: AbortSignal,
): Promise<ReadyImage> {
  if (!isImageName(name)) throw new ImageError('the name of the image is not one')
  const used = resolveAlias(name, options.aliases)
  const present = await engine.image(used)
  if (present) return { name: used, ...present }
  await pullImage(engine, used, options, signal)
  const pulled = await engine.image(used)
  if (!pulled) throw new ImageError(`the pull of ${used} ended before the image was there`)
  return { name: used, ...pulled }
}

async function pullImage(
  engine: Engine,
  name: string,
  { pullMs, log }: ImageOptions,
  signal: AbortSignal,
): Promise<void> {
  const started = performance.now()
  const deadline = AbortSignal.timeout(pullMs)
  log.info({ image: name }, 'pulling an image')
  try {
    for await (const event of engine.pull(name, AbortSignal.any([signal, deadline]))) {
      // A pull that dies in the middle ends like any other: only the event says so.
      if (event.error !== undefined) throw new Error(event.error)
      log.debug({ image: name, status: event.status }, 'pull progress')
    }
  } catch (error) {
    signal.throwIfAborted()
    const cause = deadline.aborted ? new DeadlineError(`pulling ${name}`, pullMs) : (error as Error)
    throw new ImageError(`the image ${name} could not be pulled: ${cause.message}`, { cause })
  }
  log.info({ image: name, ms: Math.round(performance.now() - started) }, 'image pulled')
}
