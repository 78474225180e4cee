import type { Log } from '@horde/kit/log'
import { type BackoffOptions, backoff } from '@horde/kit/reconnect'
import { DialError } from '@horde/kit/socket'
import type { Clock } from '@horde/kit/time'

/** How long a dial may run before the next endpoint is dialled as well, in ms. */
const HEAD_START_MS = 2_000

/** After the loss of a good connection, the endpoint is dialled at its shortest delay for this long, in ms. */
const FAST_RETRY_MS = 10 * 60_000

/** One endpoint, and when to dial it again. Times are of the monotonic clock. */
type Endpoint = {
  readonly url: string
  delays: Generator<number, never>
  /** Failures in a row. */
  failures: number
  dialAt: number
  fastRetryUntil: number
}

/** Endpoints, delays and the dial function of an `EndpointPool`. */
export type EndpointPoolOptions<C> = {
  readonly endpoints: readonly string[]
  readonly backoff: BackoffOptions
  /** Uptime after which the endpoint's backoff resets, in ms. */
  readonly stableMs: number
  dial(endpoint: string, signal: AbortSignal): Promise<C>
  readonly log: Log
  readonly clock: Clock
}

/**
 * Connects to one of several endpoints. Each has its own backoff, so that a dead endpoint never delays a working one.
 * Delays grow with each failure, except that an endpoint that just worked is retried at its shortest delay.
 */
export class EndpointPool<C extends AsyncDisposable> {
  readonly #options: EndpointPoolOptions<C>
  readonly #endpoints: Endpoint[]
  /** Index of the endpoint that the next `connect` dials first. */
  #first = 0

  constructor(options: EndpointPoolOptions<C>) {
    this.#options = options
    this.#endpoints = options.endpoints.map(url => ({
      ...{ url, delays: backoff(options.backoff), failures: 0, dialAt: Number.NEGATIVE_INFINITY },
      fastRetryUntil: Number.NEGATIVE_INFINITY,
    }))
  }

  /**
   * Dials until one endpoint is connected, and returns that connection.
   * @throws the signal's reason when it aborts earlier
   */
  async connect(signal: AbortSignal): Promise<C> {
    const found = new AbortController()
    const either = AbortSignal.any([signal, found.signal])
    let connection: C | undefined
    const take = async (opened: C, endpoint: Endpoint) => {
      if (connection || signal.aborted) return opened[Symbol.asyncDispose]()
      connection = opened
      this.#first = this.#endpoints.indexOf(endpoint)
      found.abort()
    }
    let mayStart: Promise<unknown> = Promise.resolve()
    const all = this.#inOrder().map(endpoint => {
      const next = Promise.withResolvers<void>()
      const dialling = this.#keepDialling(endpoint, mayStart, next.resolve, opened => take(opened, endpoint), either)
      mayStart = next.promise
      return dialling
    })
    await Promise.all(all)
    // The caller gets no connection once the signal has aborted, so close it here.
    if (signal.aborted) await connection?.[Symbol.asyncDispose]()
    signal.throwIfAborted()
    if (!connection) throw new Error('stopped dialling without a connection')
    return connection
  }

  /** Records that a connection has ended. The next `connect` begins with the endpoint after it, or with `better`. */
  recordLoss(url: string, livedMs: number, error: unknown, better?: string): void {
    const { clock, stableMs, log, backoff: delays } = this.#options
    const endpoint = this.#endpoints.find(each => each.url === url)
    if (!endpoint) return
    const now = clock.monotonic()
    const wasGood = livedMs >= stableMs && better === undefined
    if (wasGood) Object.assign(endpoint, { delays: backoff(delays), failures: 0, fastRetryUntil: now + FAST_RETRY_MS })
    else if (livedMs < stableMs) endpoint.fastRetryUntil = Number.NEGATIVE_INFINITY
    const delayMs = better === undefined ? this.#delayMs(endpoint) : delays.maxMs
    endpoint.dialAt = now + delayMs
    const index = this.#endpoints.findIndex(each => each.url === better)
    this.#first = index >= 0 ? index : (this.#endpoints.indexOf(endpoint) + 1) % this.#endpoints.length
    log.warn({ err: error, endpoint: url, livedMs: Math.round(livedMs), delayMs }, 'lost the chain node, reconnecting')
  }

  #inOrder(): Endpoint[] {
    return [...this.#endpoints.slice(this.#first), ...this.#endpoints.slice(0, this.#first)]
  }

  /**
   * Waits for `mayStart`, then dials an endpoint until it or another is connected. Calls `startNext` once the next
   * endpoint may be dialled.
   */
  async #keepDialling(
    endpoint: Endpoint,
    mayStart: Promise<unknown>,
    startNext: () => void,
    take: (opened: C) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, dial } = this.#options
    const pause = (ms: number) => clock.sleep(ms, signal).catch(() => {})
    await Promise.race([mayStart, aborted(signal)])
    while (!signal.aborted) {
      const waitMs = endpoint.dialAt - clock.monotonic()
      if (waitMs > 0) {
        startNext()
        await pause(waitMs)
        continue
      }
      void pause(HEAD_START_MS).then(startNext)
      try {
        const opened = await dial(endpoint.url, signal)
        Object.assign(endpoint, { failures: 0 })
        await take(opened)
        break
      } catch (error) {
        if (!signal.aborted) this.#recordFailure(endpoint, error)
      }
      startNext()
    }
    startNext()
  }

  #recordFailure(endpoint: Endpoint, error: unknown): void {
    const { clock, log } = this.#options
    // A node that answered with a refusal should be dialled less often.
    const isUnreachable = error instanceof DialError && error.status === undefined
    if (!isUnreachable) endpoint.fastRetryUntil = Number.NEGATIVE_INFINITY
    endpoint.failures += 1
    const delayMs = this.#delayMs(endpoint)
    endpoint.dialAt = clock.monotonic() + delayMs
    const fields = { err: error, endpoint: endpoint.url, failures: endpoint.failures, delayMs }
    if (isPowerOfTwo(endpoint.failures)) log.warn(fields, 'cannot reach the chain node, trying again')
    else log.debug(fields, 'cannot reach the chain node, trying again')
  }

  #delayMs(endpoint: Endpoint): number {
    const { clock, backoff: options } = this.#options
    const delays = clock.monotonic() < endpoint.fastRetryUntil ? backoff(options) : endpoint.delays
    return Math.round(delays.next().value)
  }
}

/** Thins out the log: an outage of hours logs about a dozen warnings instead of thousands. */
const isPowerOfTwo = (count: number): boolean => (count & (count - 1)) === 0

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
