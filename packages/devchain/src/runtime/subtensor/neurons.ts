import { subtensorStorage as storage } from '../../pallets/subtensor/storage.ts'
import { ZERO_ACCOUNT } from '../../scale/accounts.ts'
import type { Hex } from '../../scale/bytes.ts'
import type { Store, View } from '../../state/store.ts'
import type { Placed } from '../../table/storage-entry.ts'
import { ensure } from '../failure.ts'

/** The columns of a mechanism are stored under mecid · 4096 + netuid. */
const MECHANISM_STEP = 4096

export function storageIndex(netuid: number, mecid: number): number {
  return mecid * MECHANISM_STEP + netuid
}

/** Returns the mechanism's storage index. Throws SubnetNotExists or MechanismDoesNotExist. */
export function ensureMechanism(view: View, netuid: number, mecid: number): number {
  ensure(view.get(storage.NetworksAdded, netuid), 'SubnetNotExists')
  ensure(mecid < view.get(storage.MechanismCountCurrent, netuid), 'MechanismDoesNotExist')
  return storageIndex(netuid, mecid)
}

export function uidOf(view: View, netuid: number, hotkey: Hex): number | undefined {
  return view.get(storage.Uids, netuid, hotkey)
}

/** Returns the stake of a hotkey on a subnet, in rao. */
export function stakeOf(view: View, netuid: number, hotkey: Hex): bigint {
  return view.get(storage.TotalHotkeyAlpha, hotkey, netuid)
}

/** Check 5 of set_weights. The owner's hotkey needs no stake. */
export function hasStakeForWeights(view: View, netuid: number, hotkey: Hex): boolean {
  const owner = view.get(storage.SubnetOwnerHotkey, netuid)
  if (owner !== ZERO_ACCOUNT && owner === hotkey) return true
  return stakeOf(view, netuid, hotkey) >= view.get(storage.StakeThreshold)
}

/** Check 7 of set_weights: the rate limit, for the block that is being built. */
export function passesWeightsRateLimit(view: View, netuid: number, index: number, uid: number, block: bigint): boolean {
  const last = view.get(storage.LastUpdate, index)[uid] ?? 0n
  return last === 0n || block - last >= view.get(storage.WeightsSetRateLimit, netuid)
}

/** Writes one neuron's value in a column. */
export function setColumn<T>(
  store: Store,
  entry: Placed<[number], T[], T[]>,
  index: number,
  uid: number,
  value: T,
): void {
  store.update(entry, [index], column => column.with(uid, value))
}

export function hotkeys(view: View, netuid: number): Hex[] {
  const count = view.get(storage.SubnetworkN, netuid)
  return Array.from({ length: count }, (_, uid) => view.get(storage.Keys, netuid, uid))
}
