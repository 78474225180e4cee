import { balancesStorage, EXISTENTIAL_DEPOSIT } from '../pallets/balances.ts'
import { systemStorage } from '../pallets/system.ts'
import type { multiAddress } from '../scale/accounts.ts'
import type { Hex } from '../scale/bytes.ts'
import type { ValueOf } from '../scale/type.ts'
import type { View } from '../state/store.ts'
import type { Context } from './context.ts'
import { BALANCES, SYSTEM } from './events.ts'
import { DispatchFailure, overflow, tokenError } from './failure.ts'

/** Returns the account of an address. This runtime knows only addresses by account id. */
export function lookUp(address: ValueOf<typeof multiAddress>): Hex {
  if (address.type === 'Id' || address.type === 'Address32') return address.value
  throw new DispatchFailure({ type: 'CannotLookup', value: null }, 'CannotLookup')
}

export function freeBalance(view: View, account: Hex): bigint {
  return view.get(systemStorage.Account, account).data.free
}

/** Returns the rao that a payer may spend without falling below the existential deposit. */
export function spendable(view: View, account: Hex): bigint {
  const free = freeBalance(view, account)
  return free > EXISTENTIAL_DEPOSIT ? free - EXISTENTIAL_DEPOSIT : 0n
}

/**
 * Writes a balance. Creates an account with its first money, and removes one that falls below the existential deposit.
 */
function setFree(context: Context, account: Hex, free: bigint): void {
  const { store } = context
  const info = store.get(systemStorage.Account, account)
  const lives = free >= EXISTENTIAL_DEPOSIT
  const lived = info.providers > 0
  if (lived && !lives) {
    reap(context, account, free)
    return
  }
  store.set(systemStorage.Account, [account], {
    ...info,
    providers: lives ? 1 : 0,
    data: { ...info.data, free },
  })
  if (lives && !lived) {
    context.emit(SYSTEM, 'NewAccount', { account })
    context.emit(BALANCES, 'Endowed', { account, free_balance: free })
  }
}

function reap(context: Context, account: Hex, dust: bigint): void {
  context.store.remove(systemStorage.Account, [account])
  context.emit(SYSTEM, 'KilledAccount', { account })
  if (dust === 0n) return
  changeIssuance(context, -dust)
  context.emit(BALANCES, 'DustLost', { account, amount: dust })
}

const U64_MAX = (1n << 64n) - 1n

function changeIssuance(context: Context, by: bigint): void {
  const total = context.store.get(balancesStorage.TotalIssuance) + by
  if (total > U64_MAX) throw overflow()
  context.store.set(balancesStorage.TotalIssuance, [], total)
}

export type Existence = 'KeepAlive' | 'AllowDeath'

/** Moves rao between accounts; throws Substrate's token errors. */
export function transfer(context: Context, from: Hex, to: Hex, amount: bigint, existence: Existence): void {
  const { store } = context
  const free = freeBalance(store, from)
  if (free < amount) throw tokenError('FundsUnavailable')
  const rest = free - amount
  if (from !== to) {
    if (rest < EXISTENTIAL_DEPOSIT && existence === 'KeepAlive') throw tokenError('NotExpendable')
    const received = freeBalance(store, to) + amount
    if (received < EXISTENTIAL_DEPOSIT) throw tokenError('BelowMinimum')
    setFree(context, from, rest)
    setFree(context, to, received)
  }
  context.emit(BALANCES, 'Transfer', { from, to, amount })
}

/** Takes rao out of circulation (fees, burns, stake). The caller has checked that the account has them. */
export function withdraw(context: Context, who: Hex, amount: bigint): void {
  setFree(context, who, freeBalance(context.store, who) - amount)
  changeIssuance(context, -amount)
  context.emit(BALANCES, 'Withdraw', { who, amount })
}

export function deposit(context: Context, who: Hex, amount: bigint): void {
  if (amount === 0n) return
  setFree(context, who, freeBalance(context.store, who) + amount)
  changeIssuance(context, amount)
  context.emit(BALANCES, 'Deposit', { who, amount })
}

export function forceBalance(context: Context, who: Hex, free: bigint): void {
  const before = freeBalance(context.store, who)
  const after = free < EXISTENTIAL_DEPOSIT ? 0n : free
  setFree(context, who, after)
  changeIssuance(context, after - before)
  context.emit(BALANCES, 'BalanceSet', { who, free: after })
}
