import type { Hex } from '../scale/bytes.ts'
import type { Transaction } from '../transactions/validate.ts'
import type { Block } from './block.ts'
import type { TransactionStatus, Watcher } from './pool.ts'

/** What a block took in, and who wants to hear of it. */
export interface Taken {
  transaction: Transaction
  watchers: ReadonlySet<Watcher>
}

/** Blocks that are not final yet: what is in them can come back to the pool. */
export class Finality {
  /** How many blocks the final one is behind the best. */
  readonly lag: number
  readonly #open = new Map<number, { hash: Hex; taken: Taken[] }>()

  constructor(lag: number) {
    this.lag = lag
  }

  /** Notes a new best block, and tells of the blocks that are final now. */
  add({ hash, header }: Block, taken: Taken[]): void {
    this.#open.set(header.number, { hash, taken })
    for (const [number, block] of this.#open) {
      if (number > this.finalAt(header.number)) continue
      this.#open.delete(number)
      tell(block.taken, { finalized: block.hash })
    }
  }

  /** The number of the final block below a best one. */
  finalAt(best: number): number {
    return Math.max(0, best - this.lag)
  }

  /** Takes back every block from a number on, and gives what was in them, the oldest first. */
  retract(from: number): Taken[] {
    const back: Taken[] = []
    for (const [number, { hash, taken }] of this.#open) {
      if (number < from) continue
      this.#open.delete(number)
      tell(taken, { retracted: hash })
      back.push(...taken)
    }
    return back
  }
}

function tell(taken: readonly Taken[], status: TransactionStatus): void {
  for (const { watchers } of taken) for (const watcher of watchers) watcher(status)
}
