import type { Hex } from '../scale/bytes.ts'
import type { Transaction } from '../transactions/validate.ts'
import { PoolError } from './pool-error.ts'

/** The status of a transaction, as sent to its watcher. */
export type TransactionStatus =
  | 'future'
  | 'ready'
  | 'invalid'
  | 'dropped'
  | { inBlock: Hex }
  | { finalized: Hex }
  | { usurped: Hex }
  | { retracted: Hex }

export type Watcher = (status: TransactionStatus) => void

interface Waiting {
  transaction: Transaction
  watchers: Set<Watcher>
  /** The order of arrival. */
  order: number
  reported: TransactionStatus | undefined
}

/** The most waiting transactions in all and of one account. More are dropped at once. */
const MAX_WAITING = 8192
const MAX_PER_ACCOUNT = 512
/** The most bytes of all waiting transactions. */
const MAX_WAITING_BYTES = 20 * 1024 * 1024

/** Transactions that wait for a block, by account and in the order of their nonces. */
export class Pool {
  readonly #byHash = new Map<Hex, Waiting>()
  readonly #byAccount = new Map<Hex, Map<number, Waiting>>()
  readonly #listeners = new Set<() => void>()
  #order = 0
  #bytes = 0

  /** Called when a transaction was added. */
  onAdd(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get size(): number {
    return this.#byHash.size
  }

  has(hash: Hex): boolean {
    return this.#byHash.has(hash)
  }

  all(): Transaction[] {
    return [...this.#byHash.values()].map(({ transaction }) => transaction)
  }

  /** @throws PoolError when the transaction is there already, cannot replace another, or the pool is full */
  add(transaction: Transaction, ...watchers: Watcher[]): void {
    if (this.has(transaction.hash)) throw new PoolError('AlreadyImported', transaction.hash)
    const mine = this.#byAccount.get(transaction.account) ?? new Map<number, Waiting>()
    const rival = mine.get(transaction.extra.nonce)
    const freed = rival?.transaction.bytes.length ?? 0
    if (this.#bytes - freed + transaction.bytes.length > MAX_WAITING_BYTES) throw new PoolError('ImmediatelyDropped')
    if (rival) this.#usurp(rival, transaction)
    else if (this.size >= MAX_WAITING || mine.size >= MAX_PER_ACCOUNT) throw new PoolError('ImmediatelyDropped')
    const waiting = { transaction, watchers: new Set(watchers), order: this.#order++, reported: undefined }
    mine.set(transaction.extra.nonce, waiting)
    this.#byAccount.set(transaction.account, mine)
    this.#byHash.set(transaction.hash, waiting)
    this.#bytes += transaction.bytes.length
    for (const listener of this.#listeners) listener()
  }

  /** Requires a higher tip to replace a waiting transaction of the same account and nonce. */
  #usurp(rival: Waiting, by: Transaction): void {
    const [old, fresh] = [rival.transaction.extra.tip, by.extra.tip]
    if (fresh <= old) throw new PoolError('TooLowPriority', `${old} vs ${fresh}`)
    this.remove(rival.transaction.hash, { usurped: by.hash })
  }

  report(hash: Hex, status: TransactionStatus): void {
    const waiting = this.#byHash.get(hash)
    if (!waiting) return
    waiting.reported = status
    for (const watcher of waiting.watchers) watcher(status)
  }

  /** Reports each transaction that has become ready, or that waits for another nonce now. */
  reportStatuses(nonceOf: (account: Hex) => number): void {
    const ready = new Set(this.ready(nonceOf).map(({ hash }) => hash))
    for (const [hash, { reported }] of this.#byHash) {
      const status = ready.has(hash) ? 'ready' : 'future'
      if (status !== reported) this.report(hash, status)
    }
  }

  unwatch(hash: Hex, watcher: Watcher): void {
    this.#byHash.get(hash)?.watchers.delete(watcher)
  }

  /** Returns the watcher. */
  remove(hash: Hex, ...last: TransactionStatus[]): ReadonlySet<Watcher> {
    const waiting = this.#byHash.get(hash)
    if (!waiting) return new Set()
    for (const status of last) this.report(hash, status)
    this.#byHash.delete(hash)
    this.#bytes -= waiting.transaction.bytes.length
    const { account, extra } = waiting.transaction
    const mine = this.#byAccount.get(account)
    mine?.delete(extra.nonce)
    if (mine?.size === 0) this.#byAccount.delete(account)
    return waiting.watchers
  }

  /** Returns the first nonce of an account, from `nonce` on, that no waiting transaction uses. */
  nextNonce(account: Hex, nonce: number): number {
    const mine = this.#byAccount.get(account)
    let next = nonce
    while (mine?.has(next)) next++
    return next
  }

  /**
   * Returns the transactions for the next block: of each account those without a gap after its nonce, higher tips
   * first.
   */
  ready(nonceOf: (account: Hex) => number): Transaction[] {
    const lines = [...this.#byAccount].map(([account, mine]) => unbroken(mine, nonceOf(account)))
    const ready: Transaction[] = []
    const heads = lines.filter(line => line.length > 0)
    while (heads.length > 0) {
      heads.sort((a, b) => before(a[0] as Waiting, b[0] as Waiting))
      const [first] = heads as [Waiting[]]
      ready.push((first.shift() as Waiting).transaction)
      if (first.length === 0) heads.shift()
    }
    return ready
  }
}

function unbroken(mine: Map<number, Waiting>, from: number): Waiting[] {
  const line: Waiting[] = []
  for (let nonce = from; ; nonce++) {
    const waiting = mine.get(nonce)
    if (!waiting) return line
    line.push(waiting)
  }
}

function before(a: Waiting, b: Waiting): number {
  const [tipA, tipB] = [a.transaction.extra.tip, b.transaction.extra.tip]
  if (tipA !== tipB) return tipA > tipB ? -1 : 1
  return a.order - b.order
}
