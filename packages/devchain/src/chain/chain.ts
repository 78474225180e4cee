import type { Log } from '@horde/kit/log'
import { systemStorage } from '../pallets/system.ts'
import { ZERO_HASH } from '../scale/accounts.ts'
import type { Hex } from '../scale/bytes.ts'
import { State } from '../state/state.ts'
import { Store, View } from '../state/store.ts'
import { decodeExtrinsic } from '../transactions/extrinsic.ts'
import { type ChainPoint, type Transaction, toTransaction, validate } from '../transactions/validate.ts'
import { type Block, extrinsicsRoot, nextStateRoot, sealBlock } from './block.ts'
import { buildBlock, isRefusal } from './build-block.ts'
import { Pool, type Watcher } from './pool.ts'

/** Blocks whose state and bodies can still be read. */
export const HISTORY_BLOCKS = 1024

/** Transactions that one block takes. */
const BLOCK_TRANSACTIONS = 2048

export interface NewBlock {
  block: Block
  /** Keys whose values this block changed. */
  changed: Set<Hex>
}

/** What a saved chain consists of. */
export interface Snapshot {
  genesis: Block
  blocks: Block[]
  entries: [Hex, Uint8Array][]
}

/** The chain: blocks, the state after each, and the pool of what waits. Every block is final as soon as it is there. */
export class Chain {
  readonly pool = new Pool()
  readonly #state = new State(HISTORY_BLOCKS)
  readonly #blocks = new Map<Hex, Block>()
  readonly #byNumber = new Map<number, Hex>()
  readonly #listeners = new Set<(news: NewBlock) => void>()
  readonly #log: Log
  #genesis!: Block
  #head!: Block

  constructor(start: Snapshot | { genesis: Store }, log: Log) {
    this.#log = log
    if ('blocks' in start) this.#restore(start)
    else this.#begin(start.genesis)
  }

  get head(): Block {
    return this.#head
  }

  get genesisHash(): Hex {
    return this.#genesis.hash
  }

  /** Called after each block. */
  onBlock(listener: (news: NewBlock) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  block(hash: Hex): Block | undefined {
    return hash === this.genesisHash ? this.#genesis : this.#blocks.get(hash)
  }

  /** The hash of a block by number, as far back as the chain itself remembers. */
  hashOf(number: number): Hex | undefined {
    if (number === 0) return this.genesisHash
    const known = this.#byNumber.get(number)
    if (known || number > this.#head.header.number) return known
    return this.view().has(systemStorage.BlockHash, number)
      ? this.view().get(systemStorage.BlockHash, number)
      : undefined
  }

  /** The state after a block (default: the newest); undefined when it is not, or no longer, known. */
  reader(hash: Hex = this.#head.hash) {
    const number = this.block(hash)?.header.number
    return number === undefined || number < this.#state.oldest ? undefined : this.#state.at(number)
  }

  view(): View {
    return new View(this.#state.at(this.#head.header.number))
  }

  /** Checks a transaction against the newest state. @throws InvalidTransaction, ScaleError, BadFormatError, UnsignedError */
  check(sent: Uint8Array): { transaction: Transaction; standing: 'ready' | 'future' } {
    const transaction = toTransaction(decodeExtrinsic(sent))
    return { transaction, standing: validate(transaction, this.#nextBlock()) }
  }

  /** Takes a transaction into the pool. @throws what check throws, and PoolError */
  submit(sent: Uint8Array, watcher?: Watcher): Transaction {
    const { transaction } = this.check(sent)
    this.pool.add(transaction, watcher)
    this.pool.tellStanding(account => this.nonceOf(account))
    return transaction
  }

  /** Where a transaction that comes in now would find itself: the next block, to which the head is known as its parent. */
  #nextBlock(): ChainPoint {
    const { number } = this.#head.header
    const view = new Store(this.#state.at(number))
    view.set(systemStorage.BlockHash, [number], this.#head.hash)
    return { view, block: number + 1, genesis: this.genesisHash }
  }

  nonceOf(account: Hex): number {
    return this.view().get(systemStorage.Account, account).nonce
  }

  /** Whether a block made now would have something in it. */
  hasReady(): boolean {
    return this.pool.ready(account => this.nonceOf(account)).length > 0
  }

  /** Makes the next block of what is ready. `now`: ms since epoch. */
  produce(now: number): Block {
    const ready = this.pool.ready(account => this.nonceOf(account)).slice(0, BLOCK_TRANSACTIONS)
    const reader = this.#state.at(this.#head.header.number)
    const built = buildBlock({ reader, parent: this.#head, genesis: this.genesisHash, now, transactions: ready })
    const { block } = built
    this.#state.commit(block.header.number, built.changes)
    this.#append(block)
    for (const { hash } of built.included) this.pool.remove(hash, { inBlock: block.hash }, { finalized: block.hash })
    for (const { transaction, error } of built.dropped) this.#drop(transaction, error)
    this.#revalidate()
    for (const listener of this.#listeners) listener({ block, changed: new Set(built.changes.keys()) })
    return block
  }

  #drop(transaction: Transaction, error: unknown): void {
    if (!isRefusal(error)) {
      const { type, value } = transaction.call
      this.#log.error({ err: error, pallet: type, call: value.type }, 'a call broke the runtime')
    }
    this.pool.remove(transaction.hash, 'invalid')
  }

  /** What the new block made impossible leaves the pool; what it made possible is told so. */
  #revalidate(): void {
    const point = this.#nextBlock()
    for (const transaction of this.pool.all()) {
      try {
        validate(transaction, point)
      } catch (error) {
        this.#drop(transaction, error)
      }
    }
    this.pool.tellStanding(account => this.nonceOf(account))
  }

  #append(block: Block): void {
    this.#head = block
    this.#blocks.set(block.hash, block)
    this.#byNumber.set(block.header.number, block.hash)
    const old = block.header.number - HISTORY_BLOCKS
    const oldHash = this.#byNumber.get(old)
    if (oldHash === undefined || old === 0) return
    this.#byNumber.delete(old)
    this.#blocks.delete(oldHash)
  }

  #begin(store: Store): void {
    const changes = store.changes()
    const header = {
      parentHash: ZERO_HASH,
      number: 0,
      stateRoot: nextStateRoot(ZERO_HASH, changes),
      extrinsicsRoot: extrinsicsRoot([]),
    }
    this.#genesis = sealBlock(header, [])
    store.set(systemStorage.BlockHash, [0], this.#genesis.hash)
    this.#state.commit(0, store.changes())
    this.#append(this.#genesis)
  }

  #restore({ genesis, blocks, entries }: Snapshot): void {
    this.#genesis = genesis
    for (const block of [genesis, ...blocks]) this.#append(block)
    this.#state.restore(this.#head.header.number, entries)
  }

  /** All that is needed to go on from here. */
  snapshot(): Snapshot {
    const reader = this.#state.at(this.#head.header.number)
    const entries = reader.keys('0x').map((key): [Hex, Uint8Array] => [key, reader.get(key) as Uint8Array])
    const blocks = [...this.#blocks.values()].filter(block => block !== this.#genesis)
    return { genesis: this.#genesis, blocks, entries }
  }
}
