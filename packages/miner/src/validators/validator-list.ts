/** The validators that this miner serves: those of the subnet, as the chain named them last. */
import type { Chain } from '@horde/chain/chain'
import { type Metagraph, neuronOf, validatorsOf } from '@horde/chain/metagraph'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'

/** `active`: a validator that is served. `inactive`: known to the subnet, but no validator now. `unknown`: neither. */
export type Eligibility = 'active' | 'inactive' | 'unknown'

export type ValidatorListOptions = {
  chain: Pick<Chain, 'metagraph'>
  netuid: number
  /** Hotkeys that are always served, whatever the chain says. */
  extra: readonly string[]
  /** Hotkeys that are never served. */
  banned: readonly string[]
  clock: Clock
  log: Log
}

/** The chain knows the subnet but names no neuron on it. */
class EmptySubnetError extends Error {
  override readonly name = 'EmptySubnetError'

  constructor(netuid: number) {
    super(`the chain names no neuron on subnet ${netuid}`)
  }
}

export class ValidatorList {
  readonly #options: ValidatorListOptions
  #hotkeys: ReadonlySet<string>
  #readAt: number | undefined
  #metagraph: Metagraph | undefined
  /** The validators of the last answer that was accepted. */
  #accepted: readonly string[] = []
  /** Whether the last answer lacked more than half of them. */
  #isDoubtful = false
  readonly #listed = Promise.withResolvers<void>()

  constructor(options: ValidatorListOptions) {
    this.#options = options
    this.#hotkeys = new Set(options.extra.filter(hotkey => !options.banned.includes(hotkey)))
  }

  /**
   * Asks the chain. When that fails, the last good list stays, and its age grows. The list also stays at the first
   * answer that lacks more than half of the validators, since a node may know only half of the subnet; a second one is
   * accepted.
   *
   * @throws ChainError, or EmptySubnetError for an answer without any neuron: a node may answer so, no subnet is so
   * empty
   */
  async refresh(): Promise<void> {
    const { chain, netuid, extra, banned, clock, log } = this.#options
    const metagraph = await chain.metagraph(netuid)
    if (metagraph.neurons.length === 0) throw new EmptySubnetError(netuid)
    const listed = validatorsOf(metagraph, { extra, banned }).map(({ hotkey }) => hotkey)
    const lost = this.#accepted.filter(hotkey => !listed.includes(hotkey)).length
    const isMost = 2 * lost > this.#accepted.length
    if (isMost && !this.#isDoubtful) {
      this.#isDoubtful = true
      const counts = { lost, validators: this.#accepted.length, block: metagraph.block }
      log.warn(
        counts,
        'most validators are missing in the answer of the chain: they stay until a second answer confirms it',
      )
      return
    }
    if (isMost)
      log.warn({ lost, block: metagraph.block }, 'most validators are gone: a second answer of the chain confirmed it')
    this.#isDoubtful = false
    this.#accepted = listed
    const unregistered = extra.filter(hotkey => !banned.includes(hotkey))
    const hotkeys = new Set([...listed, ...unregistered])
    const changed = hotkeys.size !== this.#hotkeys.size || [...hotkeys].some(hotkey => !this.#hotkeys.has(hotkey))
    this.#hotkeys = hotkeys
    this.#readAt = clock.now()
    this.#metagraph = metagraph
    this.#listed.resolve()
    if (changed) log.info({ validators: hotkeys.size, block: metagraph.block }, 'validators changed')
  }

  has(hotkey: string): boolean {
    return this.#hotkeys.has(hotkey)
  }

  /** Resolves once the chain has named the validators for the first time. */
  get listed(): Promise<void> {
    return this.#listed.promise
  }

  /** A banned hotkey is unknown. */
  eligibilityOf(hotkey: string): Eligibility {
    if (this.#hotkeys.has(hotkey)) return 'active'
    const neuron = this.#metagraph && neuronOf(this.#metagraph, hotkey)
    return neuron && !this.#options.banned.includes(hotkey) ? 'inactive' : 'unknown'
  }

  get size(): number {
    return this.#hotkeys.size
  }

  /** The metagraph that the list was made of; undefined when the chain has never answered. */
  get metagraph(): Metagraph | undefined {
    return this.#metagraph
  }

  /** How old the list is, in milliseconds; undefined when the chain has never answered. */
  ageMs(): number | undefined {
    return this.#readAt === undefined ? undefined : this.#options.clock.now() - this.#readAt
  }
}
