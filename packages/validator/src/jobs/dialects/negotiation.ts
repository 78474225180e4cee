/**
 * Decides which dialect a miner speaks on one connection. Both dialects use the same path, and neither side names its
 * dialect, so the validator authenticates in one of them and watches what the miner answers. Pure: the connection sends
 * what this says, and tells it what arrives. docs/protocol.md has the rules as a table.
 */

import type { Dialect } from '@horde/protocol/handshake/dialects'

/**
 * What is known of a miner before its first message.
 *
 * `remembered`: it spoke the dialect before. `told`: it names the dialect while the connection opens, or the job that
 * the connection is for began in it. `last-resort`: it ended a connection that began with the other authentication.
 */
export type Expectation =
  | { by: 'nothing' }
  | { by: 'remembered' | 'told'; dialect: Dialect }
  | { by: 'last-resort'; dialect: 'v0' }

export class Negotiation {
  readonly #expected: Expectation
  #dialect: Dialect | undefined
  #isDecided = false
  #isBySilence = false
  #hasFallenBack = false
  #isRefused = false

  constructor(expected: Expectation) {
    this.#expected = expected
    // A v0 miner does not answer an authentication that it accepts.
    if (this.first === 'v0') this.#dialect = 'v0'
  }

  /** The dialect of the first message. */
  get first(): Dialect {
    return this.#expected.by === 'nothing' ? 'v2026' : this.#expected.dialect
  }

  /** The dialect to speak about jobs. Undefined: nothing may be said about jobs yet. */
  get dialect(): Dialect | undefined {
    return this.#dialect
  }

  /** The dialect to read frames in. Undefined: messages about jobs are kept until it is known. */
  get readsIn(): Dialect | undefined {
    if (this.#dialect !== undefined || this.#expected.by === 'nothing') return this.#dialect
    return this.#expected.dialect
  }

  /** Whether the miner has shown which dialect it speaks. */
  get isDecided(): boolean {
    return this.#isDecided
  }

  /** Whether the dialect is v0 only because the miner said nothing. */
  get isBySilence(): boolean {
    return this.#isBySilence
  }

  /** Whether the answer may be remembered: silence shows nothing. */
  get isMemorable(): boolean {
    return this.#isDecided && !this.#isBySilence
  }

  /** Whether a miner that says nothing is addressed in v0 after a while. */
  get waitsForAnswer(): boolean {
    return this.#dialect === undefined && this.#expected.by !== 'told'
  }

  /**
   * Whether a miner that ends the connection now may accept the other authentication: releases of ours that know v0
   * alone close at a first message of v2026.
   */
  get mayDialAgain(): boolean {
    return !this.#isDecided && !this.#isRefused && this.first === 'v2026' && this.#expected.by !== 'told'
  }

  /** The miner has sent a manifest as a map: it speaks v2026, whatever it said before. Returns whether that is new. */
  receivedMap(): boolean {
    const isNew = this.#dialect !== 'v2026'
    this.#dialect = 'v2026'
    this.#isDecided = true
    this.#isBySilence = false
    return isNew
  }

  /** The miner has sent an error. Returns the dialect in which to authenticate now, if in any. */
  receivedError(): Dialect | undefined {
    // A second one answers the other authentication: the miner refuses that, too.
    if (this.#hasFallenBack) this.#isRefused = true
    if (this.#isDecided || this.#hasFallenBack) return undefined
    if (this.mayDialAgain) {
      this.#fallBack()
      return 'v0'
    }
    // A miner that spoke v0 may be another release by now. Frames are still read in v0 until its manifest comes.
    if (this.#expected.by !== 'remembered' || this.first !== 'v0') return undefined
    this.#hasFallenBack = true
    return 'v2026'
  }

  /** The miner has sent a message that a v0 miner sends only to a validator that it accepted. */
  receivedV0(): void {
    if (this.#dialect === 'v0') this.#isDecided = true
  }

  /** The miner has said nothing for as long as an answer may take. Returns whether to authenticate in v0 now. */
  receivedNothing(): boolean {
    if (!this.waitsForAnswer) return false
    this.#isBySilence = true
    this.#fallBack()
    return true
  }

  #fallBack(): void {
    this.#hasFallenBack = true
    this.#dialect = 'v0'
  }
}
