/** The updates that the facilitator has not confirmed. None is lost with a connection. */
import type { Log } from '@horde/kit/log'
import type { V0JobStatusUpdate } from '@horde/protocol/v0/facilitator-validator'
import type * as v2026 from '@horde/protocol/v2026/facilitator-validator'
import { briefUpdate } from './dialects/fit-update.ts'

/** How far a job is, in the dialect of its request. */
export type StatusUpdate = V0JobStatusUpdate | v2026.V0JobStatusUpdate

/** How many updates are kept while the facilitator is away; beyond that the oldest are dropped. */
const MAX_KEPT_UPDATES = 10_000
/** On how many connections the facilitator refuses an update before it is sent without details, and is dropped. */
const REFUSALS_BEFORE_BRIEF = 3
const REFUSALS_BEFORE_DROP = 6

interface Sink {
  send(update: StatusUpdate): Promise<void>
}

interface Kept {
  update: StatusUpdate
  /** Whether it has all of its details. */
  isWhole: boolean
  /** On which connection it was sent. */
  sentOn?: Sink
  /** How many connections ended on it. */
  refusals: number
}

/**
 * Sends updates in order. One whose confirmation was lost is sent again, on the next connection. One of v2026 on which
 * the facilitator ends connections again and again is sent alone, then without details, and is dropped at last: a
 * facilitator that cannot take it would be told nothing else.
 */
export class UpdateOutbox {
  readonly #updates: Kept[] = []
  readonly #log: Log
  #sink: Sink | undefined
  #sending: Promise<void> = Promise.resolve()
  #allConfirmed = Promise.withResolvers<void>()

  constructor(log: Log) {
    this.#log = log
  }

  get waiting(): number {
    return this.#updates.length
  }

  /** Resolves once there is none that the facilitator has not confirmed. */
  get allConfirmed(): Promise<void> {
    return this.#updates.length === 0 ? Promise.resolve() : this.#allConfirmed.promise
  }

  /** Resolves once what may be sent now was sent. */
  get flushed(): Promise<void> {
    return this.#sending
  }

  /** The connection to send on from now on. */
  sendOn(sink: Sink): void {
    this.#sink = sink
    this.#flush()
  }

  /** @param isRefusal whether the facilitator may have ended the connection for what it was sent */
  connectionEnded({ isRefusal }: { isRefusal: boolean }): void {
    const [first] = this.#updates
    if (isRefusal && first && first.sentOn === this.#sink && isOfV2026(first.update)) this.#countRefusal(first)
    this.#sink = undefined
  }

  put(update: StatusUpdate): void {
    if (this.#updates.length === 0) this.#allConfirmed = Promise.withResolvers<void>()
    this.#updates.push({ update, isWhole: true, refusals: 0 })
    if (this.#updates.length > MAX_KEPT_UPDATES) this.#updates.shift()
    this.#flush()
  }

  /**
   * The facilitator has answered the first update that was sent on this connection. Returns that update, and whether it
   * was sent with all of its details.
   */
  confirm(): Pick<Kept, 'update' | 'isWhole'> | undefined {
    const [first] = this.#updates
    if (first === undefined || first.sentOn !== this.#sink) return undefined
    this.#shift()
    this.#flush()
    const { update, isWhole } = first
    return { update, isWhole }
  }

  #countRefusal(first: Kept): void {
    first.refusals += 1
    const { uuid, status } = first.update
    if (first.refusals === REFUSALS_BEFORE_BRIEF) {
      this.#log.warn({ jobUuid: uuid, status }, 'facilitator does not take an update; sending it without details')
      shortenKept(first)
    }
    if (first.refusals < REFUSALS_BEFORE_DROP) return
    this.#log.error({ jobUuid: uuid, status }, 'facilitator does not take an update; dropping it')
    this.#shift()
  }

  #shift(): void {
    this.#updates.shift()
    if (this.#updates.length === 0) this.#allConfirmed.resolve()
  }

  #flush(): void {
    this.#sending = this.#sending.then(() => this.#sendAll())
  }

  /** Sends what was not sent on this connection, in order: what an earlier one left unconfirmed may have been lost. */
  async #sendAll(): Promise<void> {
    const sink = this.#sink
    while (sink && sink === this.#sink) {
      const next = this.#nextFor(sink)
      if (!next) return
      next.sentOn = sink
      try {
        await sink.send(next.update)
      } catch {
        return
      }
    }
  }

  /** Behind an update that was refused before, nothing is sent until it is confirmed: else it is not known which it was. */
  #nextFor(sink: Sink): Kept | undefined {
    const [first] = this.#updates
    if (first && first.refusals > 0) return first.sentOn === sink ? undefined : first
    return this.#updates.find(({ sentOn }) => sentOn !== sink)
  }
}

function shortenKept(kept: Kept): void {
  if (!isOfV2026(kept.update)) return
  const brief = briefUpdate(kept.update)
  kept.isWhole &&= brief === kept.update
  kept.update = brief
}

/** Updates of v0 always have a comment. */
function isOfV2026(update: StatusUpdate): update is v2026.V0JobStatusUpdate {
  return update.metadata === null || !('comment' in update.metadata)
}
