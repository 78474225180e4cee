import type { Log } from '@horde/kit/log'
import { type BackoffOptions, backoff } from '@horde/kit/reconnect'
import { DialError } from '@horde/kit/socket'
import type { Clock } from '@horde/kit/time'

/** A dial that is still going after this time, in ms, no longer keeps the next endpoint waiting. */
const HEAD_START_MS = 2_000

/** An endpoint that was fine is dialled at its shortest delay for this time, in ms, after it was lost. */
const FRESH_LOSS_MS = 10 * 60_000

/** One endpoint, and when it may be dialled again. */
type Place = {
  readonly url: string
  delays: Generator<number, never>
  /** Failures in a row. */
  failures: number
  /** By the monotonic clock, as the others. */
  dueAt: number
  freshUntil: number
}

export type EndpointPoolOptions<C> = {
  readonly endpoints: readonly string[]
  readonly backoff: BackoffOptions
  /** A connection that lived so long, in ms, was good. */
  readonly stableMs: number
  dial(endpoint: string, signal: AbortSignal): Promise<C>
  readonly log: Log
  readonly clock: Clock
}

/**
 * Dials one of several endpoints, each at its own pace, so that a dead one never delays a living one. An endpoint that
 * cannot be reached is dialled again after ever longer delays; one that was fine until a moment ago, after the shortest.
 */
export class EndpointPool<C extends AsyncDisposable> {
  readonly #options: EndpointPoolOptions<C>
  readonly #places: Place[]
  /** Where the next round begins. */
  #first = 0

  constructor(options: EndpointPoolOptions<C>) {
    this.#options = options
    this.#places = options.endpoints.map(url => ({
      ...{ url, delays: backoff(options.backoff), failures: 0, dueAt: Number.NEGATIVE_INFINITY },
      freshUntil: Number.NEGATIVE_INFINITY,
    }))
  }

  /** The first connection that can be made. Rejects with the signal's reason when it aborts before. */
  async connect(signal: AbortSignal): Promise<C> {
    const found = new AbortController()
    const either = AbortSignal.any([signal, found.signal])
    let connection: C | undefined
    const take = async (made: C, place: Place) => {
      if (connection || signal.aborted) return made[Symbol.asyncDispose]()
      connection = made
      this.#first = this.#places.indexOf(place)
      found.abort()
    }
    let turn: Promise<unknown> = Promise.resolve()
    const all = this.#inOrder().map(place => {
      const began = Promise.withResolvers<void>()
      const dialling = this.#keepDialling(place, turn, began.resolve, made => take(made, place), either)
      turn = began.promise
      return dialling
    })
    await Promise.all(all)
    // The caller never hears of a connection that is taken when the signal aborts.
    if (signal.aborted) await connection?.[Symbol.asyncDispose]()
    signal.throwIfAborted()
    if (!connection) throw new Error('no connection, and no reason why')
    return connection
  }

  /** Notes that a connection has ended. The next round begins with the endpoint after it, or with `better`. */
  lost(url: string, livedMs: number, error: unknown, better?: string): void {
    const { clock, stableMs, log, backoff: delays } = this.#options
    const place = this.#places.find(each => each.url === url)
    if (!place) return
    const now = clock.monotonic()
    const wasGood = livedMs >= stableMs && better === undefined
    if (wasGood) Object.assign(place, { delays: backoff(delays), failures: 0, freshUntil: now + FRESH_LOSS_MS })
    else if (livedMs < stableMs) place.freshUntil = Number.NEGATIVE_INFINITY
    const delayMs = better === undefined ? this.#delayMs(place) : delays.maxMs
    place.dueAt = now + delayMs
    const index = this.#places.findIndex(each => each.url === better)
    this.#first = index >= 0 ? index : (this.#places.indexOf(place) + 1) % this.#places.length
    log.warn({ err: error, endpoint: url, livedMs: Math.round(livedMs), delayMs }, 'connection lost, trying again')
  }

  #inOrder(): Place[] {
    return [...this.#places.slice(this.#first), ...this.#places.slice(0, this.#first)]
  }

  /** Dials an endpoint until it, or another, is connected. `onBegun`: the next endpoint need not wait any longer. */
  async #keepDialling(
    place: Place,
    turn: Promise<unknown>,
    onBegun: () => void,
    take: (made: C) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, dial } = this.#options
    const pause = (ms: number) => clock.sleep(ms, signal).catch(() => {})
    await Promise.race([turn, aborted(signal)])
    while (!signal.aborted) {
      const waitMs = place.dueAt - clock.monotonic()
      if (waitMs > 0) {
        onBegun()
        await pause(waitMs)
        continue
      }
      void pause(HEAD_START_MS).then(onBegun)
      try {
        const made = await dial(place.url, signal)
        Object.assign(place, { failures: 0 })
        await take(made)
        break
      } catch (error) {
        if (!signal.aborted) this.#failed(place, error)
      }
      onBegun()
    }
    onBegun()
  }

  #failed(place: Place, error: unknown): void {
    const { clock, log } = this.#options
    // A node that answers, and with a refusal, wants to be asked less often.
    const isAway = error instanceof DialError && error.status === undefined
    if (!isAway) place.freshUntil = Number.NEGATIVE_INFINITY
    place.failures += 1
    const delayMs = this.#delayMs(place)
    place.dueAt = clock.monotonic() + delayMs
    const fields = { err: error, endpoint: place.url, failures: place.failures, delayMs }
    if (isPowerOfTwo(place.failures)) log.warn(fields, 'a node of the chain can not be reached, trying again')
    else log.debug(fields, 'a node of the chain can not be reached, trying again')
  }

  #delayMs(place: Place): number {
    const { clock, backoff: options } = this.#options
    const delays = clock.monotonic() < place.freshUntil ? backoff(options) : place.delays
    return Math.round(delays.next().value)
  }
}

/** So that an outage of hours does not fill the log. */
const isPowerOfTwo = (count: number): boolean => (count & (count - 1)) === 0

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
