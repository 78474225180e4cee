/** A lock that outlives its connection: a restart of the database in the middle of a batch is no reason to end it. */
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { Lock, TryLock } from './one-at-a-time.ts'

/** How long the database may be away before the lock counts as lost, and from one try to the next, in ms. */
const TAKE_AGAIN_WITHIN_MS = 60_000
const TAKE_AGAIN_MS = 200

/** The lock is somebody else's, or nobody knows whose it is: what it protects is to be left to whoever has it. */
export class LockLostError extends Error {
  override readonly name = 'LockLostError'
}

export interface KeptLock extends AsyncDisposable {
  /** Resolves while the lock is ours: at once as a rule; after a lost connection once it was taken again. Rejects with LockLostError. */
  held(): Promise<void>
  /** Aborts with a LockLostError when another process has taken it meanwhile, or it could not be taken again. */
  readonly lost: AbortSignal
}

/** Takes a lock, and takes it again whenever its connection is lost; undefined while somebody else has it. */
export async function keepLock(tryLock: TryLock, deps: { clock: Clock; log: Log }): Promise<KeptLock | undefined> {
  const lock = await tryLock()
  return lock && new Kept(lock, tryLock, deps)
}

class Kept implements KeptLock {
  readonly #tryLock: TryLock
  readonly #deps: { clock: Clock; log: Log }
  readonly #lost = new AbortController()
  readonly #closed = new AbortController()
  #lock: Lock
  /** While the lock is being taken again. */
  #takingAgain: Promise<void> | undefined

  constructor(lock: Lock, tryLock: TryLock, deps: { clock: Clock; log: Log }) {
    this.#tryLock = tryLock
    this.#deps = deps
    this.#lock = lock
    this.#watch()
  }

  get lost(): AbortSignal {
    return this.#lost.signal
  }

  async held(): Promise<void> {
    while (this.#takingAgain) await this.#takingAgain
    this.#lost.signal.throwIfAborted()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort()
    await this.#takingAgain
    await this.#lock[Symbol.asyncDispose]()
  }

  #watch(): void {
    const { lost } = this.#lock
    const begin = () => {
      this.#takingAgain = this.#takeAgain().finally(() => {
        this.#takingAgain = undefined
        if (!this.#lost.signal.aborted && !this.#closed.signal.aborted) this.#watch()
      })
    }
    if (lost.aborted) begin()
    else lost.addEventListener('abort', begin, { once: true, signal: this.#closed.signal })
  }

  async #takeAgain(): Promise<void> {
    const { clock, log } = this.#deps
    const { holder } = this.#lock
    await this.#lock[Symbol.asyncDispose]()
    const until = clock.monotonic() + TAKE_AGAIN_WITHIN_MS
    while (!this.#closed.signal.aborted) {
      try {
        const lock = await this.#tryLock(holder)
        if (!lock) return this.#lose('another process of this validator has taken the lock')
        this.#lock = lock
        return log.info('lock taken again after its connection was lost')
      } catch (err) {
        log.debug({ err }, 'lock could not be taken again yet')
        if (clock.monotonic() >= until) return this.#lose('the lock could not be taken again in time')
      }
      await clock.sleep(TAKE_AGAIN_MS, this.#closed.signal).catch(() => {})
    }
  }

  #lose(why: string): void {
    this.#lost.abort(new LockLostError(why))
  }
}
