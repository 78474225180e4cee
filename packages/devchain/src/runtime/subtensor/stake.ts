import { subtensorStorage as storage } from '../../pallets/subtensor/storage.ts'
import { ZERO_ACCOUNT } from '../../scale/accounts.ts'
import type { Hex } from '../../scale/bytes.ts'
import type { Store, View } from '../../state/store.ts'
import { deposit, spendable, withdraw } from '../accounts.ts'
import type { Context } from '../context.ts'
import { SUBTENSOR } from '../events.ts'
import { ensure } from '../failure.ts'

/** One alpha costs one TAO on every subnet here, because there is no pool that moves the price. */
const FEE = 0n

/** The least that may be staked or unstaked at once, in rao. */
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

/** Returns a coldkey's part of a hotkey's stake, in rao. One share is one rao, because no dividends are paid here. */
function sharesOf(view: View, coldkey: Hex, { netuid, hotkey }: Omit<Stake, 'amount'>): bigint {
  return view.get(storage.AlphaV2, hotkey, coldkey, netuid).mantissa
}

/** Adds stake, or removes it if negative, in every storage item that counts it. */
export function changeStake(store: Store, coldkey: Hex, { netuid, hotkey, amount }: Stake): void {
  const shares = (value: { mantissa: bigint }) => ({ mantissa: value.mantissa + amount, exponent: 0n })
  store.update(storage.AlphaV2, [hotkey, coldkey, netuid], shares)
  store.update(storage.TotalHotkeySharesV2, [hotkey, netuid], shares)
  store.update(storage.TotalHotkeyAlpha, [hotkey, netuid], total => total + amount)
  store.update(storage.SubnetAlphaOut, [netuid], total => total + amount)
  store.update(storage.SubnetTAO, [netuid], total => total + amount)
  store.update(storage.TotalStake, [], total => total + amount)
}
