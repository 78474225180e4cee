/** Pulls one image, within its time, and tells how far it is. */

import type { Engine } from '@horde/engine/engine'
import { PullProgress } from '@horde/engine/images/pull-progress'
import type { Log } from '@horde/kit/log'
import { DeadlineError, systemClock } from '@horde/kit/time'
import { type DiskUse, untilRunsShort } from '../container/disk.ts'
import { pullFailure } from './pull-failure.ts'
import type { RegistryCredentials } from './registry-credentials.ts'

/** How often the log tells how far a pull is, in ms. */
const PROGRESS_MS = 5_000
/** How often the engine's disk is looked at meanwhile, in ms. */
const DISK_MS = 1_000

/** An image that is neither here nor to be had, or not to be used; the sentence goes to whoever asked for it. */
export class ImageError extends Error {
  override readonly name = 'ImageError'
}

export interface PullOptions {
  credentials: RegistryCredentials | undefined
  /**
   * How long the registry may take until it begins to send, in ms, where something older will do; `pullMs` then counts from
   * that moment.
   */
  beginMs?: number
  /** How long the pull may take, in ms. */
  pullMs: number
  /** How often the log tells how far it is, in ms. Default: 5 s. */
  progressMs?: number
  /** How full the engine's disk is: what a stranger's image may unpack to, nobody knows before. */
  disk(): Promise<DiskUse>
  /** How often it is looked at, in ms. Default: 1 s. */
  diskMs?: number
  log: Log
}

/** Resolves when the engine has what the registry has. Rejects with ImageError, and then nothing of the pull goes on. */
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
  const telling = setInterval(
    () => log.info({ image: name, ...progress.sum() }, 'pulling an image goes on'),
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
    log.debug({ image: name, details: (error as Error).message }, 'what the engine says of a failed pull')
    throw new ImageError(pullFailure(name, error, credentials !== undefined))
  } finally {
    clearInterval(telling)
    over.abort()
  }
  const ms = Math.round(performance.now() - started)
  if (progress.hasBegun) log.info({ image: name, ms, ...progress.sum() }, 'image pulled')
  else log.info({ image: name, ms }, 'the registry has nothing that is not here')
}

function tooLate(name: string, ms: number, progress: PullProgress): ImageError {
  const what = progress.hasBegun ? 'was not pulled' : 'was not to be had: its registry sent nothing'
  const cause = new DeadlineError(`pulling ${name}`, ms)
  return new ImageError(`The image ${name} ${what} within ${ms / 1_000} seconds`, { cause })
}

/** A deadline that may be moved until it has passed. */
class MovableDeadline implements Disposable {
  readonly #passed = new AbortController()
  #timer: NodeJS.Timeout | undefined
  /** How long it was after it was last moved. */
  ms = 0

  constructor(ms: number) {
    this.moveTo(ms)
  }

  get signal(): AbortSignal {
    return this.#passed.signal
  }

  /** To `ms` milliseconds from now. */
  moveTo(ms: number): void {
    clearTimeout(this.#timer)
    this.ms = ms
    this.#timer = setTimeout(() => this.#passed.abort(), ms)
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
  }
}
