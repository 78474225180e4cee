/** The updates that the facilitator has not confirmed. None is lost with a connection. */
import type { V0JobStatusUpdate } from '@horde/protocol/v0/facilitator-validator'
import type * as v2026 from '@horde/protocol/v2026/facilitator-validator'

/** How far a job is, in the dialect of its request. */
export type StatusUpdate = V0JobStatusUpdate | v2026.V0JobStatusUpdate

/** How many updates are kept while the facilitator is away; beyond that the oldest are dropped. */
const MAX_KEPT_UPDATES = 10_000

interface Sink {
  send(update: StatusUpdate): Promise<void>
}

/** Sends updates in order. One whose confirmation was lost is sent again, on the next connection. */
export class UpdateOutbox {
  /** In order, and on which connection each was sent. */
  readonly #updates: { update: StatusUpdate; sentOn?: Sink }[] = []
  #sink: Sink | undefined
  #sending: Promise<void> = Promise.resolve()
  #allConfirmed = Promise.withResolvers<void>()

  get waiting(): number {
    return this.#updates.length
  }

  /** Resolves once there is none that the facilitator has not confirmed. */
  get allConfirmed(): Promise<void> {
    return this.#updates.length === 0 ? Promise.resolve() : this.#allConfirmed.promise
  }

  /** The connection to send on from now on; undefined while there is none. */
  sendOn(sink: Sink | undefined): void {
    this.#sink = sink
    this.#flush()
  }

  put(update: StatusUpdate): void {
    if (this.#updates.length === 0) this.#allConfirmed = Promise.withResolvers<void>()
    this.#updates.push({ update })
    if (this.#updates.length > MAX_KEPT_UPDATES) this.#updates.shift()
    this.#flush()
  }

  /** The facilitator has answered the first update that was sent on this connection. Returns that update. */
  confirm(): StatusUpdate | undefined {
    const [confirmed] = this.#updates
    const isConfirmed = confirmed !== undefined && confirmed.sentOn === this.#sink
    if (isConfirmed) this.#updates.shift()
    if (this.#updates.length === 0) this.#allConfirmed.resolve()
    return isConfirmed ? confirmed.update : undefined
  }

  #flush(): void {
    this.#sending = this.#sending.then(() => this.#sendAll())
  }

  /** Sends what was not sent on this connection, in order: what an earlier one left unconfirmed may have been lost. */
  async #sendAll(): Promise<void> {
    const sink = this.#sink
    while (sink && sink === this.#sink) {
      const next = this.#updates.find(({ sentOn }) => sentOn !== sink)
      if (!next) return
      next.sentOn = sink
      try {
        await sink.send(next.update)
      } catch {
        return
      }
    }
  }
}
