import { subtensorStorage as storage } from '../../pallets/subtensor/storage.ts'
import { ZERO_ACCOUNT } from '../../scale/accounts.ts'
import type { Hex } from '../../scale/bytes.ts'
import type { Store } from '../../state/store.ts'
import { spendable, withdraw } from '../accounts.ts'
import type { Context } from '../context.ts'
import { SUBTENSOR } from '../events.ts'
import { ensure } from '../failure.ts'
import { setColumn, uidOf } from './neurons.ts'

export interface Registration {
  netuid: number
  hotkey: Hex
  coldkey: Hex
  /** In rao. A higher price is refused. */
  limitPrice?: bigint
}

const ROOT = 0

/** Registers a neuron and burns the subnet's price. */
export function burnedRegister(context: Context, { netuid, hotkey, coldkey, limitPrice }: Registration): void {
  const { store } = context
  ensure(netuid !== ROOT, 'RegistrationNotPermittedOnRootSubnet')
  ensure(store.get(storage.NetworksAdded, netuid), 'SubnetNotExists')
  ensure(store.get(storage.NetworkRegistrationAllowed, netuid), 'SubNetRegistrationDisabled')
  ensure(uidOf(store, netuid, hotkey) === undefined, 'HotKeyAlreadyRegisteredInSubNet')
  const price = store.get(storage.Burn, netuid)
  ensure(limitPrice === undefined || price <= limitPrice, 'RegistrationPriceLimitExceeded')
  ensure(spendable(store, coldkey) >= price, 'NotEnoughBalanceToStake')
  associate(store, hotkey, coldkey)
  const uid = seat(store, netuid, context.block)
  withdraw(context, coldkey, price)
  placeNeuron(store, { netuid, uid, hotkey }, context.block)
  context.emit(SUBTENSOR, 'NeuronRegistered', [netuid, uid, hotkey])
}

/** Assigns a hotkey to a coldkey. Refuses a hotkey of another coldkey. */
export function associate(store: Store, hotkey: Hex, coldkey: Hex): void {
  const owner = store.get(storage.Owner, hotkey)
  ensure(owner === ZERO_ACCOUNT || owner === coldkey, 'NonAssociatedColdKey')
  if (owner === coldkey) return
  store.set(storage.Owner, [hotkey], coldkey)
  store.update(storage.OwnedHotkeys, [coldkey], owned => [...owned, hotkey])
}

/** Returns a free uid, or that of the neuron with the least emission outside its immunity. */
function seat(store: Store, netuid: number, block: bigint): number {
  const count = store.get(storage.SubnetworkN, netuid)
  if (count < store.get(storage.MaxAllowedUids, netuid)) return count
  const immunity = BigInt(store.get(storage.ImmunityPeriod, netuid))
  const owner = store.get(storage.SubnetOwnerHotkey, netuid)
  const emissions = store.get(storage.Emission, netuid)
  const candidates = Array.from({ length: count }, (_, uid) => ({
    uid,
    since: store.get(storage.BlockAtRegistration, netuid, uid),
    emission: emissions[uid] ?? 0n,
    isOwner: store.get(storage.Keys, netuid, uid) === owner,
  })).filter(({ since, isOwner }) => block - since >= immunity && !isOwner)
  const [worst] = candidates.sort(
    (a, b) => Number(a.emission - b.emission) || Number(a.since - b.since) || a.uid - b.uid,
  )
  ensure(worst !== undefined, 'NoNeuronIdAvailable')
  return worst.uid
}

interface Seat {
  netuid: number
  uid: number
  hotkey: Hex
}

/** Puts a hotkey on a uid: after the last one, or in place of a neuron, whose data are removed. */
export function placeNeuron(store: Store, { netuid, uid, hotkey }: Seat, block: bigint): void {
  const count = store.get(storage.SubnetworkN, netuid)
  if (uid < count) clearSeat(store, netuid, uid)
  else {
    store.set(storage.SubnetworkN, [netuid], count + 1)
    growColumns(store, netuid)
  }
  store.set(storage.Keys, [netuid, uid], hotkey)
  store.set(storage.Uids, [netuid, hotkey], uid)
  store.set(storage.IsNetworkMember, [hotkey, netuid], true)
  store.set(storage.BlockAtRegistration, [netuid, uid], block)
  setColumn(store, storage.LastUpdate, netuid, uid, block)
  setColumn(store, storage.Active, netuid, uid, true)
}

function growColumns(store: Store, netuid: number): void {
  for (const column of [storage.ValidatorTrust, storage.Dividends, storage.Consensus, storage.Incentive]) {
    store.update(column, [netuid], values => [...values, 0])
  }
  for (const column of [storage.LastUpdate, storage.Emission]) store.update(column, [netuid], values => [...values, 0n])
  for (const column of [storage.ValidatorPermit, storage.Active])
    store.update(column, [netuid], values => [...values, false])
}

function clearSeat(store: Store, netuid: number, uid: number): void {
  const old = store.get(storage.Keys, netuid, uid)
  store.remove(storage.Uids, [netuid, old])
  store.remove(storage.IsNetworkMember, [old, netuid])
  store.remove(storage.Axons, [netuid, old])
  store.remove(storage.Prometheus, [netuid, old])
  store.remove(storage.NeuronCertificates, [netuid, old])
  store.remove(storage.Weights, [netuid, uid])
  store.remove(storage.Bonds, [netuid, uid])
  for (const column of [storage.ValidatorTrust, storage.Dividends, storage.Consensus, storage.Incentive]) {
    setColumn(store, column, netuid, uid, 0)
  }
  setColumn(store, storage.Emission, netuid, uid, 0n)
  setColumn(store, storage.ValidatorPermit, netuid, uid, false)
}
