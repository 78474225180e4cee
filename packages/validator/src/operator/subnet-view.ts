/** The subnet as of the chain's last answer. Health, status and metrics read it without asking the chain. */
import type { Chain, CommitReveal } from '@horde/chain/chain'
import { ChainError } from '@horde/chain/errors'
import type { Clock } from '@horde/kit/time'
import { type ChosenMethod, type CommitBy, chooseMethod } from '../weights/commit-by.ts'
import type { KnownSubnet } from './watches/eligibility.ts'

export type SubnetViewDeps = {
  chain: Pick<Chain, 'metagraph' | 'hyperparameters' | 'commitReveal'>
  netuid: number
  hotkey: string
  commitBy: CommitBy
  clock: Clock
}

/** Keeps the last good answer while the chain does not answer, or names no neuron at all. */
export class SubnetView {
  readonly #deps: SubnetViewDeps
  #known: KnownSubnet | undefined
  #readAt: number | undefined
  #weightMethod: ChosenMethod | undefined

  constructor(deps: SubnetViewDeps) {
    this.#deps = deps
  }

  /** Undefined before the chain's first answer. */
  get known(): KnownSubnet | undefined {
    return this.#known
  }

  /** How weights are sent to the chain. Undefined before its first answer, and while it accepts no weights. */
  get weightMethod(): ChosenMethod | undefined {
    return this.#weightMethod
  }

  /** The age of the last answer, in milliseconds; undefined before the first one. */
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
    this.#weightMethod = methodFor(commits, commitBy, clock.now())
    this.#readAt = clock.monotonic()
  }
}

/** Returns undefined for a chain that accepts no weights: setting weights reports that. */
function methodFor(commits: CommitReveal, commitBy: CommitBy, nowMs: number): ChosenMethod | undefined {
  try {
    return chooseMethod(commits, commitBy, nowMs)
  } catch (error) {
    if (error instanceof ChainError) return undefined
    throw error
  }
}
