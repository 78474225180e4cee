type Frame = string | Uint8Array

export interface FrameQueueOptions<In> {
  parse(frame: Frame): In
  maxFrames: number
  maxBytes: number
  /** Called when a limit is reached, to stop the source. */
  onFull(): void
  /** Called when less than half of both limits is in use again. */
  onRoom(): void
}

interface Waiter<In> {
  resolve(item: In | undefined): void
  reject(error: unknown): void
}

/** A queue of received frames, which are parsed when they are taken. Aborting a wait takes nothing out. */
export class FrameQueue<In> {
  readonly #options: FrameQueueOptions<In>
  readonly #frames: { frame: Frame; bytes: number }[] = []
  readonly #waiters = new Set<Waiter<In>>()
  #bytes = 0
  #full = false
  #accepting = true
  #ended = false

  constructor(options: FrameQueueOptions<In>) {
    this.#options = options
  }

  put(frame: Frame, bytes: number): void {
    if (!this.#accepting) return
    this.#frames.push({ frame, bytes })
    this.#bytes += bytes
    const [waiter] = this.#waiters
    if (waiter) {
      this.#waiters.delete(waiter)
      this.#serve(waiter)
    }
    const { maxFrames, maxBytes } = this.#options
    if (!this.#full && (this.#frames.length >= maxFrames || this.#bytes >= maxBytes)) {
      this.#full = true
      this.#options.onFull()
    }
  }

  take(signal?: AbortSignal): Promise<In | undefined> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      if (this.#frames.length > 0 || this.#ended) return this.#serve({ resolve, reject })
      const waiter: Waiter<In> = {
        resolve: item => {
          signal?.removeEventListener('abort', onAbort)
          resolve(item)
        },
        reject,
      }
      const onAbort = () => {
        this.#waiters.delete(waiter)
        reject(signal?.reason)
      }
      this.#waiters.add(waiter)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Drops further frames, so that a full queue no longer stops the source. */
  refuse(): void {
    this.#accepting = false
    this.#full = false
  }

  /** Ends the queue: pending and later waits return undefined once it is empty. */
  end(): void {
    this.refuse()
    this.#ended = true
    for (const waiter of this.#waiters) waiter.resolve(undefined)
    this.#waiters.clear()
  }

  #serve(waiter: Waiter<In>): void {
    const next = this.#frames.shift()
    if (!next) {
      waiter.resolve(undefined)
      return
    }
    this.#bytes -= next.bytes
    const { maxFrames, maxBytes } = this.#options
    if (this.#full && this.#frames.length * 2 < maxFrames && this.#bytes * 2 < maxBytes) {
      this.#full = false
      this.#options.onRoom()
    }
    try {
      waiter.resolve(this.#options.parse(next.frame))
    } catch (error) {
      waiter.reject(error)
    }
  }
}
