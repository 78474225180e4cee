import { subtensorStorage as storage } from '../../pallets/subtensor/storage.ts'
import { ZERO_ACCOUNT } from '../../scale/accounts.ts'
import type { Hex } from '../../scale/bytes.ts'
import type { Store, View } from '../../state/store.ts'
import { deposit, spendable, withdraw } from '../accounts.ts'
import type { Context } from '../context.ts'
import { SUBTENSOR } from '../events.ts'
import { ensure } from '../failure.ts'

/** Here one alpha costs one TAO on every subnet: there is no pool that would move the price. */
const FEE = 0n

/** rao; the least that may be staked or unstaked at once. */
const MIN_AMOUNT = 2_000_000n

export interface Stake {
  netuid: number
  hotkey: Hex
  amount: bigint
}

export function addStake(context: Context, coldkey: Hex, { netuid, hotkey, amount }: Stake): void {
  const { store } = context
  ensure(store.get(storage.NetworksAdded, netuid), 'SubnetNotExists')
  ensure(amount >= MIN_AMOUNT, 'AmountTooLow')
  ensure(spendable(store, coldkey) >= amount, 'NotEnoughBalanceToStake')
  ensure(store.get(storage.Owner, hotkey) !== ZERO_ACCOUNT, 'HotKeyAccountNotExists')
  withdraw(context, coldkey, amount)
  changeStake(store, coldkey, { netuid, hotkey, amount })
  context.emit(SUBTENSOR, 'StakeAdded', [coldkey, hotkey, amount, amount, netuid, FEE])
}

export function removeStake(context: Context, coldkey: Hex, { netuid, hotkey, amount }: Stake): void {
  const { store } = context
  ensure(store.get(storage.NetworksAdded, netuid), 'SubnetNotExists')
  ensure(store.get(storage.Owner, hotkey) !== ZERO_ACCOUNT, 'HotKeyAccountNotExists')
  ensure(sharesOf(store, coldkey, { netuid, hotkey }) >= amount, 'NotEnoughStakeToWithdraw')
  ensure(amount >= MIN_AMOUNT, 'AmountTooLow')
  changeStake(store, coldkey, { netuid, hotkey, amount: -amount })
  deposit(context, coldkey, amount)
  context.emit(SUBTENSOR, 'StakeRemoved', [coldkey, hotkey, amount, amount, netuid, FEE])
}

/** A coldkey's part of a hotkey's stake, in rao: one share is one rao, as no dividends are paid into the pool. */
function sharesOf(view: View, coldkey: Hex, { netuid, hotkey }: Omit<Stake, 'amount'>): bigint {
  return view.get(storage.AlphaV2, hotkey, coldkey, netuid).mantissa
}

/** Adds (or, below zero, takes) stake in every place that tells of it. */
export function changeStake(store: Store, coldkey: Hex, { netuid, hotkey, amount }: Stake): void {
  const shares = (value: { mantissa: bigint }) => ({ mantissa: value.mantissa + amount, exponent: 0n })
  store.update(storage.AlphaV2, [hotkey, coldkey, netuid], shares)
  store.update(storage.TotalHotkeySharesV2, [hotkey, netuid], shares)
  store.update(storage.TotalHotkeyAlpha, [hotkey, netuid], total => total + amount)
  store.update(storage.SubnetAlphaOut, [netuid], total => total + amount)
  store.update(storage.SubnetTAO, [netuid], total => total + amount)
  store.update(storage.TotalStake, [], total => total + amount)
}
