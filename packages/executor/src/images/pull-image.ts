/** Pulls one image within a time limit, and logs how far it is. */

import type { Engine } from '@horde/engine/engine'
import { PullProgress } from '@horde/engine/images/pull-progress'
import type { Log } from '@horde/kit/log'
import { DeadlineError, systemClock } from '@horde/kit/time'
import { type DiskUse, untilRunsShort } from '../container/disk.ts'
import { pullFailure } from './pull-failure.ts'
import type { RegistryCredentials } from './registry-credentials.ts'

/** How often the progress is logged, in ms. */
const PROGRESS_MS = 5_000
/** How often the engine's disk is measured meanwhile, in ms. */
const DISK_MS = 1_000

/** An image that is not available, or must not be used. The job's author reads the message. */
export class ImageError extends Error {
  override readonly name = 'ImageError'
}

export interface PullOptions {
  credentials: RegistryCredentials | undefined
  /**
   * How long the registry may take until it begins to send, in ms, when an older image is at hand; `pullMs` then counts
   * from that moment.
   */
  beginMs?: number
  /** How long the pull may take, in ms. */
  pullMs: number
  /** How often the progress is logged, in ms. Default: 5 s. */
  progressMs?: number
  /** Measures the engine's disk: the unpacked size of a stranger's image is not known before. */
  disk(): Promise<DiskUse>
  /** How often the disk is measured, in ms. Default: 1 s. */
  diskMs?: number
  log: Log
}

/** Resolves when the engine has the registry's image. Rejects with ImageError; then the pull has ended. */
export async function pullImage(engine: Engine, name: string, options: PullOptions, signal: AbortSignal) {
  const { credentials, pullMs, beginMs, progressMs = PROGRESS_MS, diskMs = DISK_MS, log } = options
  const started = performance.now()
  const progress = new PullProgress()
  using deadline = new MovableDeadline(beginMs ?? pullMs)
  const [over, full] = [new AbortController(), new AbortController()]
  const either = AbortSignal.any([signal, deadline.signal, full.signal])
  untilRunsShort(options.disk, diskMs, systemClock, over.signal).then(
    () => full.abort(),
    () => {},
  )
  const reporting = setInterval(
    () => log.info({ image: name, ...progress.sum() }, 'still pulling an image'),
    progressMs,
  )
  log.info({ image: name }, 'pulling an image')
  try {
    for await (const event of engine.images.pull(name, credentials, either)) {
      const hadBegun = progress.hasBegun
      progress.add(event)
      if (beginMs !== undefined && progress.hasBegun && !hadBegun) deadline.moveTo(pullMs)
    }
  } catch (error) {
    signal.throwIfAborted()
    if (full.signal.aborted) throw new ImageError(`The disk of this host is too full for the image ${name}`)
    if (deadline.signal.aborted) throw tooLate(name, deadline.ms, progress)
    log.debug({ image: name, details: (error as Error).message }, 'why the engine could not pull an image')
    throw new ImageError(pullFailure(name, error, credentials !== undefined))
  } finally {
    clearInterval(reporting)
    over.abort()
  }
  const ms = Math.round(performance.now() - started)
  if (progress.hasBegun) log.info({ image: name, ms, ...progress.sum() }, 'image pulled')
  else log.info({ image: name, ms }, 'the image is up to date')
}

function tooLate(name: string, ms: number, progress: PullProgress): ImageError {
  const what = progress.hasBegun ? 'was not pulled' : 'is not available: its registry sent nothing'
  const cause = new DeadlineError(`pulling ${name}`, ms)
  return new ImageError(`The image ${name} ${what} within ${ms / 1_000} seconds`, { cause })
}

/** A deadline that can be moved until it has passed. */
class MovableDeadline implements Disposable {
  readonly #passed = new AbortController()
  #timer: NodeJS.Timeout | undefined
  /** The length of the deadline when it was last moved. */
  ms = 0

  constructor(ms: number) {
    this.moveTo(ms)
  }

  get signal(): AbortSignal {
    return this.#passed.signal
  }

  /** Moves the deadline to `ms` milliseconds from now. */
  moveTo(ms: number): void {
    clearTimeout(this.#timer)
    this.ms = ms
    this.#timer = setTimeout(() => this.#passed.abort(), ms)
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
  }
}
