/**
 * Keeps the miner's address on the chain up to date: finds it, compares, announces, and keeps the outcome for display.
 */
import { ChainError } from '@horde/chain/errors'
import type { Clock } from '@horde/kit/time'
import { type Announcement, announce } from './announce.ts'
import { findAddress, NoPublicAddressError, type OwnAddress } from './own-address.ts'

/** The outcome, for the status page and the commands. */
export type AnnouncementState = {
  /** The address at which peers reach this miner; undefined until it is known. */
  readonly address: string | undefined
  /** How it was found. */
  readonly how: string | undefined
  /** The block of the announcement; undefined while the chain says another address, or none. */
  readonly announcedAtBlock: number | undefined
  /** The first block that accepts the announcement. */
  readonly waitsForBlock: number | undefined
  /** The last error, as a sentence. */
  readonly lastError: string | undefined
}

export type AnnouncerOptions = Omit<Announcement, 'ip'> & {
  /** An address, or `auto`. */
  given: string
  services: readonly string[]
  /** How often a found address is looked up again, in milliseconds. */
  checkEveryMs: number
  clock: Clock
}

export class Announcer {
  readonly #options: AnnouncerOptions
  #own: OwnAddress | undefined
  #checkedAt = Number.NEGATIVE_INFINITY
  #announcedAtBlock: number | undefined
  #waitsForBlock: number | undefined
  #lastError: string | undefined

  constructor(options: AnnouncerOptions) {
    this.#options = options
  }

  state(): AnnouncementState {
    return {
      address: this.#own?.address,
      how: this.#own?.how,
      announcedAtBlock: this.#announcedAtBlock,
      waitsForBlock: this.#waitsForBlock,
      lastError: this.#lastError,
    }
  }

  /**
   * Runs one round. An error that needs attention is logged once, and tried again each round.
   *
   * @throws errors that may pass by themselves, such as an outage of the chain
   */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#check(signal)
      await this.#announce()
      this.#lastError = undefined
    } catch (error) {
      signal.throwIfAborted()
      this.#report(error as Error)
    }
  }

  #report(error: Error): void {
    const isUnknown = error instanceof NoPublicAddressError
    const why = isUnknown ? `${error.message}; set BITTENSOR_MINER_ADDRESS` : error.message
    const isNew = why !== this.#lastError
    this.#lastError = why
    const isRefusal = error instanceof ChainError && !error.retryable
    if (!isRefusal && !isUnknown) throw error
    this.#announcedAtBlock = undefined
    if (isNew) this.#options.log.error({ why, ip: this.#own?.address }, 'address cannot be announced')
  }

  /** Finds the address, and again when that was long ago. A guess never replaces a sure address. */
  async #check(signal: AbortSignal): Promise<void> {
    const { given, services, checkEveryMs, clock, log } = this.#options
    const before = this.#own
    if (before?.isSure && clock.monotonic() - this.#checkedAt < checkEveryMs) return
    const found = await this.#find(given, services, signal)
    this.#checkedAt = clock.monotonic()
    if (found === undefined) return
    this.#own = found
    if (before?.address === found.address) return
    this.#announcedAtBlock = this.#waitsForBlock = undefined
    const { address, how, isSure } = found
    log.info({ address, how, ...(before && { before: before.address }) }, 'address to announce found')
    if (!isSure) log.warn({ address }, 'peers may see another address; if so, set BITTENSOR_MINER_ADDRESS')
  }

  /** Undefined when the sure address that is known should stay: none was found, or only a guess. */
  async #find(given: string, services: readonly string[], signal: AbortSignal): Promise<OwnAddress | undefined> {
    try {
      const found = await findAddress(given, services, this.#options.log, signal)
      return this.#own?.isSure && !found.isSure ? undefined : found
    } catch (error) {
      if (this.#own && error instanceof NoPublicAddressError) return undefined
      throw error
    }
  }

  async #announce(): Promise<void> {
    const { chain, netuid, hotkey, port, log } = this.#options
    const { address: ip } = this.#own as OwnAddress
    if (this.#waitsForBlock !== undefined && (await chain.blockNumber()) < this.#waitsForBlock) return
    const outcome = await announce({ chain, netuid, hotkey, ip, port, log })
    if ('waitsForBlock' in outcome) {
      if (outcome.waitsForBlock !== this.#waitsForBlock)
        log.info({ ip, port, block: outcome.waitsForBlock }, 'announcement waits: the last one was too few blocks ago')
      this.#waitsForBlock = outcome.waitsForBlock
      return
    }
    this.#waitsForBlock = undefined
    this.#announcedAtBlock = outcome.block ?? undefined
  }
}
