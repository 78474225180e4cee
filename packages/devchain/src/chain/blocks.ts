import type { Hex } from '../scale/bytes.ts'
import type { Block } from './block.ts'

/** The genesis and the last blocks, by hash and by number. */
export class Blocks {
  readonly genesis: Block
  readonly #window: number
  readonly #byHash = new Map<Hex, Block>()
  readonly #byNumber = new Map<number, Block>()
  #head: Block

  /** @param window how many blocks are kept besides the genesis */
  constructor(genesis: Block, window: number) {
    this.genesis = genesis
    this.#head = genesis
    this.#window = window
  }

  get head(): Block {
    return this.#head
  }

  append(block: Block): void {
    const { number } = block.header
    this.#head = block
    this.#byHash.set(block.hash, block)
    this.#byNumber.set(number, block)
    const old = this.#byNumber.get(number - this.#window)
    if (!old) return
    this.#byNumber.delete(old.header.number)
    this.#byHash.delete(old.hash)
  }

  /** Removes the newest blocks, from a number on. */
  dropFrom(number: number): void {
    for (let each = this.#head; each.header.number >= number; each = this.#head) {
      this.#byHash.delete(each.hash)
      this.#byNumber.delete(each.header.number)
      this.#head = this.byNumber(each.header.number - 1) ?? this.genesis
    }
  }

  byHash(hash: Hex): Block | undefined {
    return hash === this.genesis.hash ? this.genesis : this.#byHash.get(hash)
  }

  byNumber(number: number): Block | undefined {
    return number === 0 ? this.genesis : this.#byNumber.get(number)
  }

  /** Returns all blocks but the genesis, oldest first. */
  all(): Block[] {
    return [...this.#byNumber.values()]
  }
}
