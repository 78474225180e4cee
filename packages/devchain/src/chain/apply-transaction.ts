import { systemStorage } from '../pallets/system.ts'
import { withdraw } from '../runtime/accounts.ts'
import type { Context } from '../runtime/context.ts'
import { isFree } from '../runtime/dispatch.ts'
import { SYSTEM } from '../runtime/events.ts'
import type { Hex } from '../scale/bytes.ts'
import type { ValueOf } from '../scale/type.ts'
import type { dispatchInfo } from '../table/dispatch-error.ts'
import { CALL_WEIGHT, feeOf } from '../transactions/fees.ts'
import { InvalidTransaction } from '../transactions/invalid.ts'
import { type Transaction, validate } from '../transactions/validate.ts'

type DispatchInfo = ValueOf<typeof dispatchInfo>

const NORMAL: DispatchInfo = {
  weight: CALL_WEIGHT,
  class: { type: 'Normal', value: null },
  pays_fee: { type: 'Yes', value: null },
}
export const MANDATORY: DispatchInfo = { ...NORMAL, class: { type: 'Mandatory', value: null } }
const FREE: DispatchInfo = { ...NORMAL, pays_fee: { type: 'No', value: null } }

export function succeed(context: Context, info: DispatchInfo): void {
  context.emit(SYSTEM, 'ExtrinsicSuccess', { dispatch_info: info })
}

export interface Place {
  genesis: Hex
  /** The position in the block. */
  index: number
}

/**
 * Puts one transaction into the block: checked once more, its nonce and fee taken, its call carried out. A call that
 * the runtime refuses costs its fee all the same, and leaves ExtrinsicFailed.
 * @throws InvalidTransaction when it cannot be in this block; nothing has changed then
 */
export function applyTransaction(context: Context, transaction: Transaction, { genesis, index }: Place): void {
  const { store } = context
  const events = context.events.length
  store.begin()
  try {
    const point = { view: store, block: Number(context.block), genesis }
    if (validate(transaction, point) === 'future') throw new InvalidTransaction('Future')
    context.phase = { type: 'ApplyExtrinsic', value: index }
    charge(context, transaction)
    carryOut(context, transaction)
  } catch (error) {
    store.rollback()
    context.events.length = events
    throw error
  }
  store.commit()
}

function charge(context: Context, { account, call, bytes, extra }: Transaction): void {
  context.store.update(systemStorage.Account, [account], info => ({ ...info, nonce: info.nonce + 1 }))
  const due = feeOf(call, bytes.length) + extra.tip
  if (due > 0n) withdraw(context, account, due)
}

function carryOut(context: Context, { account, call }: Transaction): void {
  const info = isFree(call) ? FREE : NORMAL
  const error = context.attempt(() => context.dispatch({ signer: account }, call))
  if (error) context.emit(SYSTEM, 'ExtrinsicFailed', { dispatch_error: error, dispatch_info: info })
  else succeed(context, info)
}
