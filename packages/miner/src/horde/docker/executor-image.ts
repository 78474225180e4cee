/** The executor image on one engine: used as it is where it is there, pulled where it is missing and may be pulled. */
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
  clock: Clock
  log: Log
  /** Ends a pull. */
  closed: AbortSignal
}

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
    if (this.#failure && clock.monotonic() - this.#failure.at < TRY_AGAIN_MS) return Promise.reject(this.#failure.error)
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

  async #get(): Promise<void> {
    const { engine, image, pullImage } = this.#options
    if (await engine.hasImage(image)) return
    const missing = `the engine at ${engine.url} has no image ${image}`
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

/** Without tag and digest a name means `latest`; the engine would pull all tags. */
function withTag(name: string): string {
  return /[:@][^/]+$/.test(name) ? name : `${name}:latest`
}
