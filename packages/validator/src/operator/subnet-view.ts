/** The subnet as the chain said it last: what health, status and metrics look at without asking anybody. */
import type { Chain } from '@horde/chain/chain'
import type { Clock } from '@horde/kit/time'
import type { SubnetKnown } from '../watch/standing.ts'

export type SubnetViewDeps = { chain: Pick<Chain, 'metagraph' | 'hyperparameters'>; netuid: number; clock: Clock }

/** A chain that does not answer, or names no neuron at all, changes nothing: the last good answer stays. */
export class SubnetView {
  readonly #deps: SubnetViewDeps
  #known: SubnetKnown | undefined
  #readAt: number | undefined

  constructor(deps: SubnetViewDeps) {
    this.#deps = deps
  }

  get known(): SubnetKnown | undefined {
    return this.#known
  }

  /** How old it is, in milliseconds; undefined when the chain has never answered. */
  ageMs(): number | undefined {
    return this.#readAt === undefined ? undefined : this.#deps.clock.monotonic() - this.#readAt
  }

  /** @throws ChainError */
  async refresh(): Promise<void> {
    const { chain, netuid, clock } = this.#deps
    const [metagraph, { stakeThresholdRao, weightsVersionKey }] = await Promise.all([
      chain.metagraph(netuid),
      chain.hyperparameters(netuid),
    ])
    if (metagraph.neurons.length === 0) return
    this.#known = { metagraph, stakeThresholdRao, weightsVersionKey }
    this.#readAt = clock.monotonic()
  }
}
