import type { Chain } from '@horde/chain/chain'
import { validatorsOf } from '@horde/chain/metagraph'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { lastBatchStart } from '../db/batches.ts'
import { nextTurn, type Turn } from '../my-turn.ts'

export interface TurnsOptions {
  netuid: number
  windowMs: number
  /** Whether a hotkey that is no validator has turns too: behind the validators'. */
  outside: boolean
  chain: Pick<Chain, 'metagraph'>
  hotkey: Hotkey
  db: Database
  clock: Clock
  log: Log
}

/** A validator's place in the order of the subnet's validators, most stake first. */
export interface Place {
  /** From 0; undefined for a hotkey that is none of them. */
  rank: number | undefined
  validators: number
}

export interface TurnState extends Place {
  /** Undefined for a validator that has no turns. */
  turn: Turn | undefined
}

/** When this validator's batches are due, as of the last time that the chain could be asked. */
export class Turns {
  readonly #options: TurnsOptions
  #place: Place | undefined
  #state: TurnState | undefined

  constructor(options: TurnsOptions) {
    this.#options = options
  }

  /** What `next` found last; undefined before the first time. */
  state(): TurnState | undefined {
    return this.#state
  }

  /**
   * The next turn, computed anew. While the chain is away, by the last order that was heard of.
   *
   * @throws ChainError while the chain is away and no order was ever heard of
   */
  async next(): Promise<Turn | undefined> {
    const { netuid, windowMs, outside, db, clock } = this.#options
    const place = await this.#findPlace()
    const { rank = outside ? place.validators : undefined } = place
    if (rank === undefined) {
      this.#state = { ...place, turn: undefined }
      return undefined
    }
    const lastStartMs = (await lastBatchStart(db, netuid))?.getTime()
    const validators = Math.max(place.validators, rank + 1)
    const turn = nextTurn({ nowMs: clock.now(), windowMs, rank, validators, lastStartMs })
    this.#state = { ...place, turn }
    return turn
  }

  async #findPlace(): Promise<Place> {
    const { netuid, chain, hotkey, log } = this.#options
    try {
      const validators = validatorsOf(await chain.metagraph(netuid))
      const rank = validators.findIndex(neuron => neuron.hotkey === hotkey.ss58)
      const place = { rank: rank < 0 ? undefined : rank, validators: validators.length }
      if (place.rank !== this.#place?.rank) log.info(place, "place in the validators' order")
      this.#place = place
    } catch (err) {
      if (!this.#place) throw err
      log.warn({ err }, "the validators' order could not be asked for: the last one stays")
    }
    return this.#place
  }
}
