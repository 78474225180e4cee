/** The executor image on one engine: used as it is where it is there, pulled where it is missing and may be pulled. */

import { bad, type Finding, ok } from '@horde/kit/check/finding'
import type { Log } from '@horde/kit/log'
import { type Clock, DeadlineError } from '@horde/kit/time'
import type { EngineClient, PullEvent } from './engine-client.ts'

/** How long a pull may take, in milliseconds. */
export const PULL_MS = 1_800_000
/** How often the log tells how far a pull is, in milliseconds. */
const PROGRESS_MS = 5_000
/** How long after a pull that failed it is not tried again, in milliseconds. */
const TRY_AGAIN_MS = 30_000

export interface ExecutorImageOptions {
  engine: EngineClient
  image: string
  /** Whether an image that the engine lacks is pulled. */
  pullImage: boolean
  /**
   * What an engine had without a digest of the registry that its name means: it was built or loaded there, and no registry is
   * asked for it. Holds for as long as the miner runs, for all of its pools.
   */
  localImages: LocalImages
  clock: Clock
  log: Log
  /** Ends a pull. */
  closed: AbortSignal
}

/** Addresses of engines and names of images there: `unix:///var/run/docker.sock executor:v0`. */
export type LocalImages = Set<string>

/** The engine lacks the executor image, and it is not to be had. */
export class ExecutorImageError extends Error {
  override readonly name = 'ExecutorImageError'
}

export class ExecutorImage {
  readonly #options: ExecutorImageOptions
  #getting: Promise<void> | undefined
  #failure: { error: unknown; at: number } | undefined

  constructor(options: ExecutorImageOptions) {
    this.#options = options
  }

  /** Gets it in the background; where that fails there is a warning. */
  begin(): void {
    const { log, closed, image } = this.#options
    this.get().catch(err => {
      if (!closed.aborted) log.warn({ err, image }, 'the executor image is not to be had: executors can not be started')
    })
  }

  /** Resolves at once, unless the image is on its way: then when that has ended, one way or another. */
  async arrived(): Promise<void> {
    await this.#getting?.catch(() => {})
  }

  /**
   * Resolves when the engine has the image. However many ask, it is pulled once; what failed a moment ago fails again.
   *
   * @throws ExecutorImageError, EngineError
   */
  get(): Promise<void> {
    const { clock } = this.#options
    const failure = this.#recentFailure
    if (failure) return Promise.reject(failure.error)
    this.#getting ??= this.#get()
      .catch(error => {
        this.#failure = { error, at: clock.monotonic() }
        throw error
      })
      .finally(() => {
        this.#getting = undefined
      })
    return this.#getting
  }

  /** Asks the engine whether it has the image now. */
  async isThere(): Promise<boolean> {
    const { engine, image, localImages } = this.#options
    const found = await engine.findImage(image)
    if (found === undefined) return false
    this.#failure = undefined
    if (isFromRegistry(image, found.digests)) localImages.delete(this.#nameThere)
    else localImages.add(this.#nameThere)
    return true
  }

  /** Looks whether the image is there. Where it is not, and a registry may have it, it is pulled in the background. */
  async look(): Promise<Finding> {
    const { engine, image, pullImage } = this.#options
    if (await this.isThere()) return ok('image', `${image} is there`)
    const missing = `${image} is not on the engine at ${engine.url}`
    if (this.#isLocal) {
      const advice = `build it there again (docker/build-images.sh executor), or bring it with docker save and docker load`
      return bad('image', `${missing} any more, and it came from no registry`, advice)
    }
    const advice = `docker pull ${image} there, or build it with docker/build-images.sh executor`
    if (!pullImage) return bad('image', `${missing}, and DEBUG_SKIP_PULLING_EXECUTOR_IMAGE says not to pull it`, advice)
    const failure = this.#recentFailure
    if (failure) return bad('image', `${missing}: ${(failure.error as Error).message}`, advice)
    this.begin()
    return bad('image', `${missing}: it is being pulled`, 'wait for it, or see the log of this miner')
  }

  /** The key of the image among those that came from no registry. */
  get #nameThere(): string {
    return `${this.#options.engine.url} ${this.#options.image}`
  }

  get #isLocal(): boolean {
    return this.#options.localImages.has(this.#nameThere)
  }

  get #recentFailure(): { error: unknown } | undefined {
    const failure = this.#failure
    return failure && this.#options.clock.monotonic() - failure.at < TRY_AGAIN_MS ? failure : undefined
  }

  async #get(): Promise<void> {
    const { engine, image, pullImage } = this.#options
    if (await this.isThere()) return
    const missing = `the engine at ${engine.url} has no image ${image}`
    if (this.#isLocal) throw new ExecutorImageError(`${missing} any more, and it came from no registry`)
    if (!pullImage) throw new ExecutorImageError(`${missing}, and pulling it is switched off`)
    await this.#pull().catch(cause => {
      throw new ExecutorImageError(`${missing}, and it could not be pulled: ${cause.message}`, { cause })
    })
  }

  async #pull(): Promise<void> {
    const { engine, image, clock, log, closed } = this.#options
    const over = new AbortController()
    const ended = AbortSignal.any([closed, over.signal])
    const late = clock.sleep(PULL_MS, ended).then(() => over.abort(new DeadlineError('the pull', PULL_MS)))
    late.catch(() => {})
    const started = clock.monotonic()
    log.info({ image, engine: engine.url }, 'pulling the executor image')
    try {
      await this.#followPull(engine.pull(withTag(image), ended))
      log.info({ image, ms: Math.round(clock.monotonic() - started) }, 'executor image pulled')
    } catch (error) {
      throw over.signal.aborted ? over.signal.reason : error
    } finally {
      over.abort()
    }
  }

  async #followPull(events: AsyncIterable<PullEvent>): Promise<void> {
    const { image, clock, log } = this.#options
    const layers = new Map<string, { bytes: number; totalBytes: number }>()
    let told = clock.monotonic()
    for await (const { error, status, id, progressDetail } of events) {
      // A pull that dies in the middle ends like any other: only the event says so.
      if (error !== undefined) throw new Error(error)
      const { current: bytes, total: totalBytes } = progressDetail ?? {}
      if (status === 'Downloading' && id && bytes && totalBytes) layers.set(id, { bytes, totalBytes })
      if (clock.monotonic() - told < PROGRESS_MS) continue
      told = clock.monotonic()
      const sum = (key: 'bytes' | 'totalBytes') => [...layers.values()].reduce((all, layer) => all + layer[key], 0)
      log.info({ image, bytes: sum('bytes'), totalBytes: sum('totalBytes') }, 'pulling the executor image goes on')
    }
  }
}

/**
 * Whether one of the digests is of the repository that the name means: an image that has the digest of another was only
 * given this name. An engine with containerd's image store also gives a digest to what it built itself.
 */
export function isFromRegistry(image: string, digests: readonly string[]): boolean {
  return digests.some(digest => repositoryOf(digest) === repositoryOf(image))
}

/** Without tag and digest, and with what a short name leaves out left out. */
function repositoryOf(name: string): string {
  const [withoutDigest = ''] = name.split('@')
  return withoutDigest
    .replace(/:[^/:]*$/, '')
    .replace(/^(index\.)?docker\.io\//, '')
    .replace(/^library\//, '')
}

/** Without tag and digest a name means `latest`; the engine would pull all tags. */
function withTag(name: string): string {
  return /[:@][^/]+$/.test(name) ? name : `${name}:latest`
}
