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

/** Blocks whose states and bodies can still be read. */
const HISTORY_BLOCKS = 1024

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

/** What becomes of extrinsics whose blocks are replaced: they are in the new blocks, or nowhere. */
export type AfterRetraction = 'again' | 'lost'

/** The chain: blocks, the state after each, and the pool of what waits. A block is final at once, or some blocks later. */
export class Chain {
  readonly pool = new Pool()
  readonly #state = new State(HISTORY_BLOCKS)
  readonly #blocks: Blocks
  readonly #listeners = new Set<(news: NewBlock) => void>()
  readonly #log: Log
  readonly #finality: Finality
  /** Keys whose values a replaced block had changed, until the next block tells of them. */
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

  /** The newest block that no other replaces. */
  get finalized(): Block {
    return this.#blocks.byNumber(this.#finality.finalAt(this.head.header.number)) ?? this.#blocks.genesis
  }

  get genesisHash(): Hex {
    return this.#blocks.genesis.hash
  }

  /** Called after each block. @returns what ends it */
  onBlock(listener: (news: NewBlock) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  block(hash: Hex): Block | undefined {
    return this.#blocks.byHash(hash)
  }

  /** The hash of a block by number, as far back as the chain itself remembers. */
  hashOf(number: number): Hex | undefined {
    const known = this.#blocks.byNumber(number)?.hash
    const view = this.view()
    if (known || number > this.head.header.number || !view.has(systemStorage.BlockHash, number)) return known
    return view.get(systemStorage.BlockHash, number)
  }

  /** The state after a block (default: the newest); undefined when it is not, or no longer, known. */
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
   * Takes a transaction into the pool, after checking it against the newest state.
   * @throws InvalidTransaction, PoolError, ScaleError, BadFormatError, UnsignedError
   */
  submit(sent: Uint8Array, watcher?: Watcher): Transaction {
    const transaction = toTransaction(decodeExtrinsic(sent))
    validate(transaction, this.#nextBlock())
    this.pool.add(transaction, ...(watcher ? [watcher] : []))
    this.pool.tellStanding(account => this.nonceOf(account))
    return transaction
  }

  /** Whether a block made now would have something in it. */
  hasReady(): boolean {
    return this.pool.ready(account => this.nonceOf(account)).length > 0
  }

  /** Where a transaction that comes in now would find itself: the next block, to which the head is known as its parent. */
  #nextBlock(): ChainPoint {
    const { number } = this.head.header
    const view = new Store(this.#state.at(number))
    view.set(systemStorage.BlockHash, [number], this.head.hash)
    return { view, block: number + 1, genesis: this.genesisHash }
  }

  /** Makes the next block of what is ready. `now`: ms since epoch; `intervene` changes the state before all of it. */
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
   * Replaces the newest blocks by one more than they were, as a fork does that wins.
   * @throws RangeError when one of them is final
   */
  replace(count: number, now: number, extrinsics: AfterRetraction): void {
    const from = this.head.header.number - count + 1
    if (from <= this.finalized.header.number) throw new RangeError(`block ${from} is final`)
    // Later than any of theirs, or a new block could be the same as an old one.
    const later = Math.max(now, Number(this.view().get(timestampStorage.Now)) + 1)
    const back = this.#finality.retract(from)
    this.#reverted = this.#state.dropFrom(from)
    this.#blocks.dropFrom(from)
    if (extrinsics === 'again') for (const { transaction, watchers } of back) this.pool.add(transaction, ...watchers)
    for (let made = 0; made <= count; made += 1) this.produce(later + made)
  }

  /** Every listener hears of it, whatever becomes of the others. */
  #announce(news: NewBlock): void {
    for (const listener of this.#listeners) {
      try {
        listener(news)
      } catch (err) {
        this.#log.error({ err }, 'a new block could not be told to a listener')
      }
    }
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

  #drop(transaction: Transaction, error: unknown): void {
    if (!isRefusal(error)) {
      const { type, value } = transaction.call
      this.#log.error({ err: error, pallet: type, call: value.type }, 'a call broke the runtime')
    }
    this.pool.remove(transaction.hash, 'invalid')
  }

  /** All that is needed to go on from here. */
  snapshot(): Snapshot {
    const reader = this.#state.at(this.head.header.number)
    const entries = reader.keys('0x').map((key): [Hex, Uint8Array] => [key, reader.get(key) as Uint8Array])
    return { genesis: this.#blocks.genesis, blocks: this.#blocks.all(), entries }
  }
}
