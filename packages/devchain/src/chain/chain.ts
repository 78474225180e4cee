import type { Log } from '@horde/kit/log'
import { systemStorage } from '../pallets/system.ts'
import { timestampStorage } from '../pallets/timestamp.ts'
import { ZERO_HASH } from '../scale/accounts.ts'
import type { Hex } from '../scale/bytes.ts'
import { type Reader, State } from '../state/state.ts'
import { Store, View } from '../state/store.ts'
import { decodeExtrinsic } from '../transactions/extrinsic.ts'
import { type ChainPoint, type Transaction, toTransaction, validate } from '../transactions/validate.ts'
import { type Block, extrinsicsRoot, nextStateRoot, sealBlock } from './block.ts'
import { Blocks } from './blocks.ts'
import { buildBlock, isRefusal } from './build-block.ts'
import { Finality } from './finality.ts'
import { Pool, type Watcher } from './pool.ts'

/** The number of blocks whose states and bodies can still be read. */
const HISTORY_BLOCKS = 1024

/** The most transactions in one block. */
const BLOCK_TRANSACTIONS = 2048

export interface NewBlock {
  block: Block
  /** The keys whose values this block changed. */
  changed: Set<Hex>
}

/** The contents of a saved chain. */
export interface Snapshot {
  genesis: Block
  blocks: Block[]
  entries: [Hex, Uint8Array][]
}

/** What happens to extrinsics of replaced blocks: they are included again in the new blocks, or lost. */
export type AfterRetraction = 'again' | 'lost'

/**
 * The chain: its blocks, the state after each, and the pool. A block is final at once, or `finalityLag` blocks later.
 */
export class Chain {
  readonly pool = new Pool()
  readonly #state = new State(HISTORY_BLOCKS)
  readonly #blocks: Blocks
  readonly #listeners = new Set<(block: NewBlock) => void>()
  readonly #log: Log
  readonly #finality: Finality
  /** Keys that replaced blocks had changed. The next block reports them to its listeners. */
  #reverted: Hex[] = []

  constructor(start: Snapshot | { genesisStore: Store }, log: Log, finalityLag = 0) {
    this.#log = log
    this.#finality = new Finality(finalityLag)
    const genesis = 'genesis' in start ? start.genesis : this.#commitGenesis(start.genesisStore)
    this.#blocks = new Blocks(genesis, HISTORY_BLOCKS)
    if (!('genesis' in start)) return
    for (const block of start.blocks) this.#blocks.append(block)
    this.#state.restore(this.head.header.number, start.entries)
  }

  #commitGenesis(store: Store): Block {
    const stateRoot = nextStateRoot(ZERO_HASH, store.changes())
    const genesis = sealBlock({ parentHash: ZERO_HASH, number: 0, stateRoot, extrinsicsRoot: extrinsicsRoot([]) }, [])
    store.set(systemStorage.BlockHash, [0], genesis.hash)
    this.#state.commit(0, store.changes())
    return genesis
  }

  get head(): Block {
    return this.#blocks.head
  }

  /** The newest final block: no other block can replace it. */
  get finalized(): Block {
    return this.#blocks.byNumber(this.#finality.finalAt(this.head.header.number)) ?? this.#blocks.genesis
  }

  get genesisHash(): Hex {
    return this.#blocks.genesis.hash
  }

  /** Calls the listener after each block. @returns a function that ends this */
  onBlock(listener: (block: NewBlock) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  block(hash: Hex): Block | undefined {
    return this.#blocks.byHash(hash)
  }

  /** Returns the hash of a block by number, as far back as the chain keeps hashes. */
  hashOf(number: number): Hex | undefined {
    const known = this.#blocks.byNumber(number)?.hash
    const view = this.view()
    if (known || number > this.head.header.number || !view.has(systemStorage.BlockHash, number)) return known
    return view.get(systemStorage.BlockHash, number)
  }

  /** Returns the state after a block (default: the newest); undefined when it is unknown or too old. */
  reader(hash: Hex = this.head.hash): Reader | undefined {
    const number = this.block(hash)?.header.number
    return number === undefined || number < this.#state.oldest ? undefined : this.#state.at(number)
  }

  /** The newest state. */
  view(): View {
    return new View(this.#state.at(this.head.header.number))
  }

  nonceOf(account: Hex): number {
    return this.view().get(systemStorage.Account, account).nonce
  }

  /**
   * Adds a transaction to the pool after checking it against the newest state.
   * @throws InvalidTransaction, PoolError, ScaleError, BadFormatError, UnsignedError
   */
  submit(sent: Uint8Array, watcher?: Watcher): Transaction {
    const transaction = toTransaction(decodeExtrinsic(sent))
    validate(transaction, this.#nextBlock())
    this.pool.add(transaction, ...(watcher ? [watcher] : []))
    this.pool.reportStatuses(account => this.nonceOf(account))
    return transaction
  }

  /** Returns whether a block made now would include a transaction. */
  hasReady(): boolean {
    return this.pool.ready(account => this.nonceOf(account)).length > 0
  }

  /** Returns the point at which new transactions are checked: the next block, whose parent is the head. */
  #nextBlock(): ChainPoint {
    const { number } = this.head.header
    const view = new Store(this.#state.at(number))
    view.set(systemStorage.BlockHash, [number], this.head.hash)
    return { view, block: number + 1, genesis: this.genesisHash }
  }

  /**
   * Makes the next block from the ready transactions.
   *
   * @param now ms since the epoch
   * @param intervene changes the state before the block is built
   */
  produce(now: number, intervene?: (store: Store) => void): Block {
    const transactions = this.pool.ready(account => this.nonceOf(account)).slice(0, BLOCK_TRANSACTIONS)
    const reader = this.#state.at(this.head.header.number)
    const built = buildBlock({ reader, parent: this.head, genesis: this.genesisHash, now, transactions, intervene })
    const { block } = built
    this.#state.commit(block.header.number, built.changes)
    this.#blocks.append(block)
    const taken = built.included.map(transaction => {
      return { transaction, watchers: this.pool.remove(transaction.hash, { inBlock: block.hash }) }
    })
    this.#finality.add(block, taken)
    for (const { transaction, error } of built.dropped) this.#drop(transaction, error)
    this.#revalidate()
    this.#announce({ block, changed: new Set([...built.changes.keys(), ...this.#reverted.splice(0)]) })
    return block
  }

  /**
   * Replaces the newest blocks with one block more, as a winning fork does.
   * @throws RangeError when one of them is final
   */
  replace(count: number, now: number, extrinsics: AfterRetraction): void {
    const from = this.head.header.number - count + 1
    if (from <= this.finalized.header.number) throw new RangeError(`block ${from} is final`)
    // Later than the replaced blocks; otherwise a new block could have the same hash as an old one.
    const later = Math.max(now, Number(this.view().get(timestampStorage.Now)) + 1)
    const back = this.#finality.retract(from)
    this.#reverted = this.#state.dropFrom(from)
    this.#blocks.dropFrom(from)
    if (extrinsics === 'again') for (const { transaction, watchers } of back) this.pool.add(transaction, ...watchers)
    for (let made = 0; made <= count; made += 1) this.produce(later + made)
  }

  /** Calls every listener, even if one throws. */
  #announce(block: NewBlock): void {
    for (const listener of this.#listeners) {
      try {
        listener(block)
      } catch (err) {
        this.#log.error({ err }, 'could not notify a listener of a new block')
      }
    }
  }

  /** Removes transactions that the new block made invalid, and reports those that it made ready. */
  #revalidate(): void {
    const point = this.#nextBlock()
    for (const transaction of this.pool.all()) {
      try {
        validate(transaction, point)
      } catch (error) {
        this.#drop(transaction, error)
      }
    }
    this.pool.reportStatuses(account => this.nonceOf(account))
  }

  #drop(transaction: Transaction, error: unknown): void {
    if (!isRefusal(error)) {
      const { type, value } = transaction.call
      this.#log.error({ err: error, pallet: type, call: value.type }, 'a call broke the runtime')
    }
    this.pool.remove(transaction.hash, 'invalid')
  }

  /** Returns everything that is needed to continue from here. */
  snapshot(): Snapshot {
    const reader = this.#state.at(this.head.header.number)
    const entries = reader.keys('0x').map((key): [Hex, Uint8Array] => [key, reader.get(key) as Uint8Array])
    return { genesis: this.#blocks.genesis, blocks: this.#blocks.all(), entries }
  }
}
