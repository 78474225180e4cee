/** Who may talk to this miner: the subnet's validators, as of the last time that the chain could be asked. */
import type { Chain } from '@horde/chain/chain'
import { type Metagraph, neuronOf, validatorsOf } from '@horde/chain/metagraph'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'

/** What a hotkey is to this miner: a validator that is served; known to the subnet, but no validator now; or neither. */
export type Standing = 'active' | 'inactive' | 'unknown'

export type ValidatorListOptions = {
  chain: Pick<Chain, 'metagraph'>
  netuid: number
  /** Hotkeys that are validators whatever the chain says. */
  extra: readonly string[]
  /** Hotkeys that never are. */
  banned: readonly string[]
  clock: Clock
  log: Log
}

/** The chain knows the subnet and names nobody on it. */
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
  /** Whom the chain named when it was last believed. */
  #named: readonly string[] = []
  /** The last answer lacked more than half of them. */
  #isDoubtful = false
  readonly #listed = Promise.withResolvers<void>()

  constructor(options: ValidatorListOptions) {
    this.#options = options
    this.#hotkeys = new Set(options.extra.filter(hotkey => !options.banned.includes(hotkey)))
  }

  /**
   * Asks the chain. When that fails the last good list stays, and its age grows. So it does at the first answer that lacks more
   * than half of the validators: a node may answer well and know half of the subnet. The second such answer counts.
   *
   * @throws ChainError, or EmptySubnetError for an answer without any neuron: no subnet is that empty, a node may be
   */
  async refresh(): Promise<void> {
    const { chain, netuid, extra, banned, clock, log } = this.#options
    const metagraph = await chain.metagraph(netuid)
    if (metagraph.neurons.length === 0) throw new EmptySubnetError(netuid)
    const listed = validatorsOf(metagraph, { extra, banned }).map(({ hotkey }) => hotkey)
    const lost = this.#named.filter(hotkey => !listed.includes(hotkey)).length
    const isMost = 2 * lost > this.#named.length
    if (isMost && !this.#isDoubtful) {
      this.#isDoubtful = true
      const counts = { lost, validators: this.#named.length, block: metagraph.block }
      log.warn(counts, 'most validators are missing in the answer of the chain: they stay until it says so again')
      return
    }
    if (isMost) log.warn({ lost, block: metagraph.block }, 'most validators are gone: the chain said so twice')
    this.#isDoubtful = false
    this.#named = listed
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

  /** Resolves once the chain has said for the first time who the validators are. */
  get listed(): Promise<void> {
    return this.#listed.promise
  }

  /** Whoever is banned is unknown here. */
  standingOf(hotkey: string): Standing {
    if (this.#hotkeys.has(hotkey)) return 'active'
    const neuron = this.#metagraph && neuronOf(this.#metagraph, hotkey)
    return neuron && !this.#options.banned.includes(hotkey) ? 'inactive' : 'unknown'
  }

  get size(): number {
    return this.#hotkeys.size
  }

  /** What the list was made of; undefined when the chain has never answered. */
  get metagraph(): Metagraph | undefined {
    return this.#metagraph
  }

  /** How old the list is, in milliseconds; undefined when the chain has never answered. */
  ageMs(): number | undefined {
    return this.#readAt === undefined ? undefined : this.#options.clock.now() - this.#readAt
  }
}
