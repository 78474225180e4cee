/** Provides the executor image on one engine: pulls it when it is missing and may be pulled. */
import type { Engine } from '@horde/engine/engine'
import { isFromRegistry, withTag } from '@horde/engine/images/image-name'
import type { PullEvent } from '@horde/engine/images/images'
import { PullProgress } from '@horde/engine/images/pull-progress'
import { bad, type Finding, ok } from '@horde/kit/check/finding'
import type { Log } from '@horde/kit/log'
import { type Clock, DeadlineError } from '@horde/kit/time'

/** How long a pull may take, in ms. */
export const PULL_MS = 1_800_000
/** How often the progress of a pull is logged, in ms. */
const PROGRESS_MS = 5_000
/** How long after a failed pull it is not tried again, in ms. */
const TRY_AGAIN_MS = 30_000

export interface ExecutorImageOptions {
  engine: Engine
  image: string
  /** Whether an image that the engine lacks is pulled. */
  pullImage: boolean
  /**
   * The images that were found without a digest of the registry that their name means. They were built or loaded on the
   * engine, and are never pulled. Shared by all pools while the miner runs.
   */
  localImages: LocalImages
  clock: Clock
  log: Log
  /** Ends a pull. */
  closed: AbortSignal
}

/** Each value is an engine's URL and an image's name: `unix:///var/run/docker.sock executor:v0`. */
export type LocalImages = Set<string>

/** The engine lacks the executor image, and it could not be pulled. */
export class ExecutorImageError extends Error {
  override readonly name = 'ExecutorImageError'
}

export class ExecutorImage {
  readonly #options: ExecutorImageOptions
  #fetching: Promise<void> | undefined
  #failure: { error: unknown; at: number } | undefined

  constructor(options: ExecutorImageOptions) {
    this.#options = options
  }

  /** Fetches the image in the background, and logs a warning when that fails. */
  fetchInBackground(): void {
    const { log, closed, image } = this.#options
    this.ensure().catch(err => {
      if (!closed.aborted) log.warn({ err, image }, 'the executor image is not available: executors cannot be started')
    })
  }

  /** Waits for the current fetch, where there is one, whether it succeeds or not. */
  async settled(): Promise<void> {
    await this.#fetching?.catch(() => {})
  }

  /**
   * Resolves when the engine has the image. Concurrent calls share one pull, and a recent failure is not tried again.
   *
   * @throws ExecutorImageError, EngineError
   */
  ensure(): Promise<void> {
    const { clock } = this.#options
    const failure = this.#recentFailure
    if (failure) return Promise.reject(failure.error)
    this.#fetching ??= this.#fetch()
      .catch(error => {
        this.#failure = { error, at: clock.monotonic() }
        throw error
      })
      .finally(() => {
        this.#fetching = undefined
      })
    return this.#fetching
  }

  /** Asks the engine whether it has the image. */
  async isPresent(): Promise<boolean> {
    const { engine, image, localImages } = this.#options
    const found = await engine.images.find(image)
    if (found === undefined) return false
    this.#failure = undefined
    if (isFromRegistry(image, found.digests)) localImages.delete(this.#localKey)
    else localImages.add(this.#localKey)
    return true
  }

  /** Returns whether the engine has the image. A missing one that a registry may have is pulled in the background. */
  async look(): Promise<Finding> {
    const { engine, image, pullImage } = this.#options
    if (await this.isPresent()) return ok('image', `${image} is there`)
    const missing = `${image} is not on the engine at ${engine.url}`
    if (this.#isLocal) {
      const advice =
        'build it there again (docker/build-images.sh executor), or copy it with docker save and docker load'
      return bad('image', `${missing} any more, and it came from no registry`, advice)
    }
    const advice = `docker pull ${image} there, or build it with docker/build-images.sh executor`
    if (!pullImage) return bad('image', `${missing}, and DEBUG_SKIP_PULLING_EXECUTOR_IMAGE says not to pull it`, advice)
    const failure = this.#recentFailure
    if (failure) return bad('image', `${missing}: ${(failure.error as Error).message}`, advice)
    this.fetchInBackground()
    return bad('image', `${missing}: it is being pulled`, 'wait for it, or see the log of this miner')
  }

  /** The image's value in `localImages`. */
  get #localKey(): string {
    return `${this.#options.engine.url} ${this.#options.image}`
  }

  get #isLocal(): boolean {
    return this.#options.localImages.has(this.#localKey)
  }

  get #recentFailure(): { error: unknown } | undefined {
    const failure = this.#failure
    return failure && this.#options.clock.monotonic() - failure.at < TRY_AGAIN_MS ? failure : undefined
  }

  async #fetch(): Promise<void> {
    const { engine, image, pullImage } = this.#options
    if (await this.isPresent()) return
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
    const timer = clock.sleep(PULL_MS, ended).then(() => over.abort(new DeadlineError('the pull', PULL_MS)))
    timer.catch(() => {})
    const started = clock.monotonic()
    log.info({ image, engine: engine.url }, 'pulling the executor image')
    try {
      await this.#followPull(engine.images.pull(withTag(image), undefined, ended))
      log.info({ image, ms: Math.round(clock.monotonic() - started) }, 'executor image pulled')
    } catch (error) {
      throw over.signal.aborted ? over.signal.reason : error
    } finally {
      over.abort()
    }
  }

  async #followPull(events: AsyncIterable<PullEvent>): Promise<void> {
    const { image, clock, log } = this.#options
    const progress = new PullProgress()
    let loggedAt = clock.monotonic()
    for await (const event of events) {
      progress.add(event)
      if (clock.monotonic() - loggedAt < PROGRESS_MS) continue
      loggedAt = clock.monotonic()
      log.info({ image, ...progress.sum() }, 'still pulling the executor image')
    }
  }
}
