/** Keeps the address on the chain right: looks it up, compares, announces, and remembers how that went. */
import { ChainError } from '@horde/chain/errors'
import type { Clock } from '@horde/kit/time'
import { type Announcement, announce } from './announce.ts'
import { findAddress, NoPublicAddressError, type OwnAddress } from './own-address.ts'

/** For people, and for whoever shows it. */
export type AnnouncementState = {
  /** The address that this miner is to be reached at; undefined until it is known. */
  readonly address: string | undefined
  /** How it was found. */
  readonly how: string | undefined
  /** The block in which the chain took it; undefined while the chain says another one, or none. */
  readonly announcedAtBlock: number | undefined
  /** The block from which on the chain takes it. */
  readonly waitsForBlock: number | undefined
  /** What is wrong, in words. */
  readonly lastError: string | undefined
}

export type AnnouncerOptions = Omit<Announcement, 'ip'> & {
  /** An address, or `auto`. */
  given: string
  services: readonly string[]
  /** How often an address that was found is looked up again, in milliseconds. */
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
   * One round. What needs hands is told once, and tried again each round.
   *
   * @throws what may pass by itself: an outage of the chain
   */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#check(signal)
      await this.#announce()
      this.#lastError = undefined
    } catch (error) {
      signal.throwIfAborted()
      this.#tell(error as Error)
    }
  }

  #tell(error: Error): void {
    const isUnknown = error instanceof NoPublicAddressError
    const why = isUnknown ? `${error.message}; set BITTENSOR_MINER_ADDRESS` : error.message
    const isNews = why !== this.#lastError
    this.#lastError = why
    const isRefusal = error instanceof ChainError && !error.retryable
    if (!isRefusal && !isUnknown) throw error
    this.#announcedAtBlock = undefined
    if (isNews) this.#options.log.error({ why, ip: this.#own?.address }, 'address can not be announced')
  }

  /** Finds the address, again when that was long ago. One that is less sure than the one it would replace is not taken. */
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
    if (!isSure) log.warn({ address }, 'others may see another address; if so set BITTENSOR_MINER_ADDRESS')
  }

  /** Undefined where a sure address would be given up for none, or for a guess. */
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
