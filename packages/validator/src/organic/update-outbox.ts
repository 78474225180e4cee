/** The updates that the facilitator has not confirmed. None is lost with a connection. */
import type { Log } from '@horde/kit/log'
import type { V0JobStatusUpdate } from '@horde/protocol/v0/facilitator-validator'
import type * as v2026 from '@horde/protocol/v2026/facilitator-validator'
import { briefUpdate } from './dialects/fit-update.ts'

/** How far a job is, in the dialect of its request. */
export type StatusUpdate = V0JobStatusUpdate | v2026.V0JobStatusUpdate

/** How many updates are kept while the facilitator is away; beyond that the oldest are dropped. */
const MAX_KEPT_UPDATES = 10_000
/** How long the texts of those updates may be together, in characters: as two of the largest. */
const MAX_KEPT_CHARACTERS = 128 * 1024 * 1024
/** On how many connections the facilitator refuses an update before it is sent without details, and is dropped. */
const REFUSALS_BEFORE_BRIEF = 3
const REFUSALS_BEFORE_DROP = 6

interface Sink {
  send(update: StatusUpdate): Promise<void>
}

interface Kept {
  update: StatusUpdate
  /** Whether it has all of its details, and whether it had them when it was sent last. */
  isWhole: boolean
  sentWhole: boolean
  /** How long its texts are. */
  characters: number
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
  readonly #maxCharacters: number
  #characters = 0
  #sink: Sink | undefined
  #sending: Promise<void> = Promise.resolve()
  #allConfirmed = Promise.withResolvers<void>()

  constructor(log: Log, maxCharacters = MAX_KEPT_CHARACTERS) {
    this.#log = log
    this.#maxCharacters = maxCharacters
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
    const characters = charactersIn(update)
    this.#updates.push({ update, isWhole: true, sentWhole: false, characters, refusals: 0 })
    this.#characters += characters
    if (this.#updates.length > MAX_KEPT_UPDATES) this.#shift()
    if (this.#characters > this.#maxCharacters) this.#shortenOldest()
    this.#flush()
  }

  /**
   * The facilitator has answered the first update that was sent on this connection. Returns that update, and whether it
   * was sent with all of its details.
   */
  confirm(): { update: StatusUpdate; isWhole: boolean } | undefined {
    const [first] = this.#updates
    if (first === undefined || first.sentOn !== this.#sink) return undefined
    this.#shift()
    this.#flush()
    return { update: first.update, isWhole: first.sentWhole }
  }

  /** Drops details of the oldest updates until the rest is short enough. The newest one stays whole. */
  #shortenOldest(): void {
    for (const kept of this.#updates.slice(0, -1)) {
      if (this.#characters <= this.#maxCharacters) return
      if (!this.#shorten(kept)) continue
      const { uuid, status } = kept.update
      this.#log.warn({ jobUuid: uuid, status }, 'too much waits for the facilitator; only the database has all details')
    }
  }

  /** Returns whether there was something to drop. */
  #shorten(kept: Kept): boolean {
    if (!kept.isWhole || !isOfV2026(kept.update)) return false
    const brief = briefUpdate(kept.update)
    if (brief === kept.update) return false
    this.#characters -= kept.characters
    Object.assign(kept, { update: brief, isWhole: false, characters: charactersIn(brief) })
    this.#characters += kept.characters
    return true
  }

  #countRefusal(first: Kept): void {
    first.refusals += 1
    const { uuid, status } = first.update
    if (first.refusals === REFUSALS_BEFORE_BRIEF) {
      this.#log.warn({ jobUuid: uuid, status }, 'facilitator does not take an update; sending it without details')
      this.#shorten(first)
    }
    if (first.refusals < REFUSALS_BEFORE_DROP) return
    this.#log.error({ jobUuid: uuid, status }, 'facilitator does not take an update; dropping it')
    this.#shift()
  }

  #shift(): void {
    this.#characters -= this.#updates.shift()?.characters ?? 0
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
      next.sentWhole = next.isWhole
      try {
        await sink.send(next.update)
      } catch {
        return
      }
    }
  }

  /** Nothing is sent behind an update that was refused before, so that a further refusal is known to be about it. */
  #nextFor(sink: Sink): Kept | undefined {
    const [first] = this.#updates
    if (first && first.refusals > 0) return first.sentOn === sink ? undefined : first
    return this.#updates.find(({ sentOn }) => sentOn !== sink)
  }
}

/** Returns the length of all texts in a message. */
function charactersIn(value: unknown): number {
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 0
  return Object.entries(value).reduce((sum, [key, part]) => sum + key.length + charactersIn(part), 0)
}

/** Updates of v0 always have a comment. */
function isOfV2026(update: StatusUpdate): update is v2026.V0JobStatusUpdate {
  return update.metadata === null || !('comment' in update.metadata)
}
