import { BLOCK_HASH_COUNT, systemStorage } from '../pallets/system.ts'
import { timestampStorage } from '../pallets/timestamp.ts'
import { Context } from '../runtime/context.ts'
import { dispatch } from '../runtime/dispatch.ts'
import { openTimelocked } from '../runtime/subtensor/commits/timelock.ts'
import { beginBlock } from '../runtime/subtensor/epoch.ts'
import type { Hex } from '../scale/bytes.ts'
import type { Changes, Reader } from '../state/state.ts'
import { Store } from '../state/store.ts'
import { timestampExtrinsic } from '../transactions/extrinsic.ts'
import { InvalidTransaction } from '../transactions/invalid.ts'
import type { Transaction } from '../transactions/validate.ts'
import { applyTransaction, MANDATORY, succeed } from './apply-transaction.ts'
import { type Block, extrinsicsRoot, nextStateRoot, sealBlock } from './block.ts'

export interface BuildInput {
  reader: Reader
  parent: Block
  genesis: Hex
  /** ms since epoch. */
  now: number
  transactions: Transaction[]
  /** Changes the state before the transactions, for tests. */
  intervene?: ((store: Store) => void) | undefined
}

export interface Built {
  block: Block
  changes: Changes
  included: Transaction[]
  /** The transactions that can no longer be in a block, and those that crashed the runtime. */
  dropped: { transaction: Transaction; error: unknown }[]
}

/** Builds the next block: runs the due epochs, sets the time, and applies every transaction that is still valid. */
export function buildBlock({ reader, parent, genesis, now, transactions, intervene }: BuildInput): Built {
  const number = parent.header.number + 1
  const store = new Store(reader)
  const context = new Context(store, BigInt(number), dispatch)
  openBlock(context, parent, number)
  const inherent = setTime(context, now)
  intervene?.(store)
  const included: Transaction[] = []
  const dropped: Built['dropped'] = []
  for (const transaction of transactions) {
    try {
      applyTransaction(context, transaction, { genesis, index: included.length + 1 })
      included.push(transaction)
    } catch (error) {
      dropped.push({ transaction, error })
    }
  }
  store.set(systemStorage.Events, [], context.events)
  store.set(systemStorage.EventCount, [], context.events.length)
  const extrinsics = [inherent, ...included.map(({ bytes }) => bytes)]
  const changes = store.changes()
  const header = {
    parentHash: parent.hash,
    number,
    stateRoot: nextStateRoot(parent.header.stateRoot, changes),
    extrinsicsRoot: extrinsicsRoot(extrinsics),
  }
  return { block: sealBlock(header, extrinsics), changes, included, dropped }
}

function openBlock(context: Context, parent: Block, number: number): void {
  const { store } = context
  store.set(systemStorage.Number, [], number)
  store.set(systemStorage.ParentHash, [], parent.hash)
  store.set(systemStorage.BlockHash, [number - 1], parent.hash)
  const oldest = number - BLOCK_HASH_COUNT - 1
  // The genesis hash is kept, because immortal transactions are signed against it.
  if (oldest > 0) store.remove(systemStorage.BlockHash, [oldest])
  beginBlock(store, context.block)
  openTimelocked(context)
}

/** Timestamp.set, the only extrinsic without a signature. */
function setTime(context: Context, now: number): Uint8Array {
  const last = context.store.get(timestampStorage.Now)
  const time = BigInt(now) > last ? BigInt(now) : last + 1n
  context.store.set(timestampStorage.Now, [], time)
  context.phase = { type: 'ApplyExtrinsic', value: 0 }
  succeed(context, MANDATORY)
  return timestampExtrinsic(time)
}

/** Returns whether a transaction was dropped because it is invalid, and not because the runtime crashed. */
export function isRefusal(error: unknown): boolean {
  return error instanceof InvalidTransaction
}
