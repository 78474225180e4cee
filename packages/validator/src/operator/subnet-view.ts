/** The subnet as the chain said it last: what health, status and metrics look at without asking anybody. */
import type { Chain, CommitReveal } from '@horde/chain/chain'
import { ChainError } from '@horde/chain/errors'
import type { Clock } from '@horde/kit/time'
import { type ChosenMethod, type CommitBy, chooseMethod } from '../weights/commit-by.ts'
import type { SubnetKnown } from './watches/standing.ts'

export type SubnetViewDeps = {
  chain: Pick<Chain, 'metagraph' | 'hyperparameters' | 'commitReveal'>
  netuid: number
  hotkey: string
  commitBy: CommitBy
  clock: Clock
}

/** A chain that does not answer, or names no neuron at all, changes nothing: the last good answer stays. */
export class SubnetView {
  readonly #deps: SubnetViewDeps
  #known: SubnetKnown | undefined
  #readAt: number | undefined
  #weightsBy: ChosenMethod | undefined

  constructor(deps: SubnetViewDeps) {
    this.#deps = deps
  }

  get known(): SubnetKnown | undefined {
    return this.#known
  }

  /** How weights would be told to the chain, as it offers it. */
  get weightsBy(): ChosenMethod | undefined {
    return this.#weightsBy
  }

  /** How old it is, in milliseconds; undefined when the chain has never answered. */
  ageMs(): number | undefined {
    return this.#readAt === undefined ? undefined : this.#deps.clock.monotonic() - this.#readAt
  }

  /** @throws ChainError */
  async refresh(): Promise<void> {
    const { chain, netuid, hotkey, commitBy, clock } = this.#deps
    const [metagraph, { stakeThresholdRao, weightsVersionKey }, commits] = await Promise.all([
      chain.metagraph(netuid),
      chain.hyperparameters(netuid),
      chain.commitReveal(netuid, hotkey),
    ])
    if (metagraph.neurons.length === 0) return
    this.#known = { metagraph, stakeThresholdRao, weightsVersionKey }
    this.#weightsBy = methodBy(commits, commitBy, clock.now())
    this.#readAt = clock.monotonic()
  }
}

/** A chain that takes no weights at all is told of when they are set. */
function methodBy(commits: CommitReveal, commitBy: CommitBy, nowMs: number): ChosenMethod | undefined {
  try {
    return chooseMethod(commits, commitBy, nowMs)
  } catch (error) {
    if (error instanceof ChainError) return undefined
    throw error
  }
}
