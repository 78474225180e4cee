import type { Hex } from '../scale/bytes.ts'
import type { Transaction } from '../transactions/validate.ts'
import type { Block } from './block.ts'
import type { TransactionStatus, Watcher } from './pool.ts'

/** The transactions of a block and their watchers. */
export interface Taken {
  transaction: Transaction
  watchers: ReadonlySet<Watcher>
}

/** Tracks blocks that are not final yet, whose transactions may come back to the pool. */
export class Finality {
  /** The distance from the best block to the final one, in blocks. */
  readonly lag: number
  readonly #open = new Map<number, { hash: Hex; taken: Taken[] }>()

  constructor(lag: number) {
    this.lag = lag
  }

  /** Adds a new best block and notifies the watchers of blocks that have become final. */
  add({ hash, header }: Block, taken: Taken[]): void {
    this.#open.set(header.number, { hash, taken })
    for (const [number, block] of this.#open) {
      if (number > this.finalAt(header.number)) continue
      this.#open.delete(number)
      notify(block.taken, { finalized: block.hash })
    }
  }

  /** Returns the number of the final block for a best block. */
  finalAt(best: number): number {
    return Math.max(0, best - this.lag)
  }

  /** Removes every block from a number on, and returns their contents, the oldest first. */
  retract(from: number): Taken[] {
    const back: Taken[] = []
    for (const [number, { hash, taken }] of this.#open) {
      if (number < from) continue
      this.#open.delete(number)
      notify(taken, { retracted: hash })
      back.push(...taken)
    }
    return back
  }
}

function notify(taken: readonly Taken[], status: TransactionStatus): void {
  for (const { watchers } of taken) for (const watcher of watchers) watcher(status)
}
