/** Decides when this validator's next batch is due: each window is divided among the subnet's validators. */
import type { Chain } from '@horde/chain/chain'
import { validatorsOf } from '@horde/chain/metagraph'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { lastBatchStart } from '../db/batches.ts'

export interface TurnRequest {
  /** ms since the epoch */
  nowMs: number
  /** How long a window is, in ms. Windows are counted from the Unix epoch. */
  windowMs: number
  /** The validator's position among the validators, from 0. */
  rank: number
  /** How many validators share the window. */
  validators: number
  /** When this validator's last batch started, in ms since the epoch. */
  lastStartMs: number | undefined
}

/** The part of a window in which the next batch is due, in ms since the epoch. */
export interface Turn {
  startMs: number
  endMs: number
}

/**
 * Returns the next turn, which starts at `window start + rank · window / validators`, in the first window in which this
 * validator has not started a batch. A validator that is late still starts while its turn lasts; after that it waits
 * for the next window.
 */
export function nextTurn({ nowMs, windowMs, rank, validators, lastStartMs }: TurnRequest): Turn {
  const turnMs = windowMs / Math.max(1, validators)
  const windowStart = Math.floor(nowMs / windowMs) * windowMs
  const turn = { startMs: windowStart + rank * turnMs, endMs: windowStart + (rank + 1) * turnMs }
  // Ignores a start far in the future: the clock was wrong when it was written.
  const isDone = lastStartMs !== undefined && lastStartMs >= windowStart && lastStartMs < nowMs + windowMs
  const isMissed = nowMs >= turn.endMs
  return isDone || isMissed ? { startMs: turn.startMs + windowMs, endMs: turn.endMs + windowMs } : turn
}

export interface BatchScheduleOptions {
  netuid: number
  windowMs: number
  /** Whether a hotkey that is no validator has a turn too, after the validators' turns. */
  outside: boolean
  chain: Pick<Chain, 'metagraph'>
  hotkey: Hotkey
  db: Database
  clock: Clock
  log: Log
}

/** A validator's position among the subnet's validators, most stake first. */
interface Position {
  /** From 0; undefined for a hotkey that is none of them. */
  rank: number | undefined
  validators: number
}

export interface ScheduleState extends Position {
  /** Undefined for a hotkey that has no turns. */
  turn: Turn | undefined
}

export class BatchSchedule {
  readonly #options: BatchScheduleOptions
  #position: Position | undefined
  #schedule: ScheduleState | undefined

  constructor(options: BatchScheduleOptions) {
    this.#options = options
  }

  /** Returns what `next` found last; undefined before its first call. */
  state(): ScheduleState | undefined {
    return this.#schedule
  }

  /**
   * Returns the next turn. While the chain does not answer, the last known position counts.
   *
   * @throws ChainError while the chain does not answer and no position is known
   */
  async next(): Promise<Turn | undefined> {
    const { netuid, windowMs, outside, db, clock } = this.#options
    const position = await this.#findPosition()
    const { rank = outside ? position.validators : undefined } = position
    if (rank === undefined) {
      this.#schedule = { ...position, turn: undefined }
      return undefined
    }
    const lastStartMs = (await lastBatchStart(db, netuid))?.getTime()
    const validators = Math.max(position.validators, rank + 1)
    const turn = nextTurn({ nowMs: clock.now(), windowMs, rank, validators, lastStartMs })
    this.#schedule = { ...position, turn }
    return turn
  }

  async #findPosition(): Promise<Position> {
    const { netuid, chain, hotkey, log } = this.#options
    try {
      const validators = validatorsOf(await chain.metagraph(netuid))
      const rank = validators.findIndex(neuron => neuron.hotkey === hotkey.ss58)
      const position = { rank: rank < 0 ? undefined : rank, validators: validators.length }
      if (position.rank !== this.#position?.rank) log.info(position, 'position among the validators changed')
      this.#position = position
    } catch (err) {
      if (!this.#position) throw err
      log.warn({ err }, 'validators could not be read from the chain; keeping the last position')
    }
    return this.#position
  }
}
