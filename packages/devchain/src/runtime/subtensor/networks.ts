import { subtensorStorage as storage } from '../../pallets/subtensor/storage.ts'
import { ZERO_ACCOUNT } from '../../scale/accounts.ts'
import type { Hex } from '../../scale/bytes.ts'
import type { Store, View } from '../../state/store.ts'
import { spendable, withdraw } from '../accounts.ts'
import type { Context } from '../context.ts'
import { SUBTENSOR } from '../events.ts'
import { ensure } from '../failure.ts'
import { epochAt } from './epoch.ts'
import { associate, placeNeuron } from './register.ts'
import { tokenSymbol } from './token-symbol.ts'

/** The only mechanism that a subnet can have today. */
const DYNAMIC = 1

/**
 * Returns the cost of a network in rao. It doubles with a registration and falls linearly over the reduction interval.
 */
export function lockCost(view: View, block: bigint): bigint {
  const least = view.get(storage.NetworkMinLockCost)
  const lastBlock = view.get(storage.NetworkLastRegistered)
  if (lastBlock === 0n) return least
  const lastCost = view.get(storage.NetworkLastLockCost)
  const fallen = (lastCost * (block - lastBlock)) / view.get(storage.NetworkLockReductionInterval)
  const cost = 2n * lastCost - fallen
  return cost > least ? cost : least
}

export function passesNetworkRateLimit(view: View, block: bigint): boolean {
  const last = view.get(storage.NetworkLastRegistered)
  return last === 0n || block - last >= view.get(storage.NetworkRateLimit)
}

/** Creates a subnet; the owner's hotkey becomes its uid 0. */
export function registerNetwork(context: Context, coldkey: Hex, hotkey: Hex): void {
  const { store, block } = context
  ensure(passesNetworkRateLimit(store, block), 'NetworkTxRateLimitExceeded')
  const cost = lockCost(store, block)
  ensure(spendable(store, coldkey) >= cost, 'CannotAffordLockCost')
  associate(store, hotkey, coldkey)
  const netuid = nextNetuid(store)
  withdraw(context, coldkey, cost)
  store.set(storage.NetworkLastLockCost, [], cost)
  store.set(storage.NetworkLastRegistered, [], block)
  initNetwork(store, netuid, block)
  store.set(storage.SubnetOwner, [netuid], coldkey)
  store.set(storage.SubnetOwnerHotkey, [netuid], hotkey)
  placeNeuron(store, { netuid, uid: 0, hotkey }, block)
  context.emit(SUBTENSOR, 'NetworkAdded', [netuid, DYNAMIC])
}

function nextNetuid(view: View): number {
  let netuid = 1
  while (view.get(storage.NetworksAdded, netuid)) netuid++
  return netuid
}

/** Sets what the chain sets for a new subnet. Other values have the defaults of the table. */
export function initNetwork(store: Store, netuid: number, block: bigint, tempo = 360): void {
  store.set(storage.NetworksAdded, [netuid], true)
  store.update(storage.TotalNetworks, [], total => total + 1)
  store.set(storage.NetworkRegisteredAt, [netuid], block)
  store.set(storage.TokenSymbol, [netuid], tokenSymbol(netuid))
  store.set(storage.SubnetworkN, [netuid], 0)
  store.set(storage.Tempo, [netuid], tempo)
  store.set(storage.SubnetEpochIndex, [netuid], epochAt(netuid, tempo, block))
  const lastEpoch = tempo === 0 ? block : block - (BigInt(netuid) % BigInt(tempo))
  store.set(storage.LastEpochBlock, [netuid], lastEpoch > 0n ? lastEpoch : 0n)
  store.set(storage.NetworkRegistrationAllowed, [netuid], true)
  store.set(storage.MaxAllowedUids, [netuid], 256)
  store.set(storage.MaxAllowedValidators, [netuid], 64)
  store.set(storage.MinAllowedWeights, [netuid], 1)
  store.set(storage.ImmunityPeriod, [netuid], 5000)
}

/** Starts the emission of a subnet, once. Only the owner may. */
export function startCall(context: Context, coldkey: Hex, netuid: number): void {
  const { store, block } = context
  ensure(store.get(storage.NetworksAdded, netuid), 'SubnetNotExists')
  const owner = store.get(storage.SubnetOwner, netuid)
  ensure(owner !== ZERO_ACCOUNT && owner === coldkey, 'NotSubnetOwner')
  ensure(!store.get(storage.SubtokenEnabled, netuid), 'FirstEmissionBlockNumberAlreadySet')
  store.set(storage.SubtokenEnabled, [netuid], true)
  context.emit(SUBTENSOR, 'FirstEmissionBlockNumberSet', [netuid, block + 1n])
}
