import { subtensorStorage as storage } from '../../pallets/subtensor/storage.ts'
import type { Store, View } from '../../state/store.ts'
import { hotkeys, stakeOf } from './neurons.ts'

/** An epoch of a subnet runs in every block b with (b + netuid + 1) mod (tempo + 1) = 0; tempo 0: never. */
export function runsEpoch(netuid: number, tempo: number, block: bigint): boolean {
  return tempo !== 0 && (block + BigInt(netuid) + 1n) % BigInt(tempo + 1) === 0n
}

/** Returns the number of blocks to the next epoch, 0 in the block of an epoch, or null with tempo 0. */
export function blocksUntilEpoch(netuid: number, tempo: number, block: bigint): bigint | null {
  if (tempo === 0) return null
  const into = (block + BigInt(netuid) + 1n) % BigInt(tempo + 1)
  return into === 0n ? 0n : BigInt(tempo + 1) - into
}

/** Returns the epoch of a block, counted from the start of the chain. */
export function epochAt(netuid: number, tempo: number, block: bigint): bigint {
  return (block + BigInt(netuid) + 1n) / BigInt(tempo + 1)
}

/** Runs the epochs that are due in this block. */
export function beginBlock(store: Store, block: bigint): void {
  for (const { keys, value } of store.entries(storage.NetworksAdded)) {
    const [netuid] = keys
    if (!value) continue
    if (runsEpoch(netuid, store.get(storage.Tempo, netuid), block)) runEpoch(store, netuid, block)
    else store.update(storage.BlocksSinceLastStep, [netuid], blocks => blocks + 1n)
  }
}

function runEpoch(store: Store, netuid: number, block: bigint): void {
  store.set(storage.BlocksSinceLastStep, [netuid], 0n)
  store.set(storage.LastMechansimStepBlock, [netuid], block)
  store.set(storage.LastEpochBlock, [netuid], block)
  store.update(storage.SubnetEpochIndex, [netuid], index => index + 1n)
  assignPermits(store, netuid)
  store.set(storage.Active, [netuid], activity(store, netuid, block))
}

/** Gives permits to the MaxAllowedValidators neurons with the most stake, and never to one without stake. */
export function assignPermits(store: Store, netuid: number): void {
  const stakes = hotkeys(store, netuid).map((hotkey, uid) => ({ uid, stake: stakeOf(store, netuid, hotkey) }))
  const staked = stakes.filter(({ stake }) => stake > 0n)
  staked.sort((a, b) => (a.stake === b.stake ? a.uid - b.uid : a.stake > b.stake ? -1 : 1))
  const chosen = new Set(staked.slice(0, store.get(storage.MaxAllowedValidators, netuid)).map(({ uid }) => uid))
  const permits = stakes.map(({ uid }) => chosen.has(uid))
  const before = store.get(storage.ValidatorPermit, netuid)
  store.set(storage.ValidatorPermit, [netuid], permits)
  // A neuron that loses its permit loses its bonds.
  for (const [uid, had] of before.entries()) {
    if (had && permits[uid] !== true) store.remove(storage.Bonds, [netuid, uid])
  }
}

/** The factor that stands for one tempo. */
const PER_MILLE = 1000

/** Returns the blocks after which a neuron without new weights is inactive: thousandths of a tempo, at least 1. */
function activityCutoff(view: View, netuid: number): bigint {
  const factor = view.get(storage.ActivityCutoffFactorMilli, netuid)
  return BigInt(Math.max(1, Math.floor((factor * view.get(storage.Tempo, netuid)) / PER_MILLE)))
}

/** Returns whether a neuron's last update is within the cutoff. */
function activity(view: View, netuid: number, block: bigint): boolean[] {
  const cutoff = activityCutoff(view, netuid)
  const count = view.get(storage.SubnetworkN, netuid)
  const updates = view.get(storage.LastUpdate, netuid)
  return Array.from({ length: count }, (_, uid) => (updates[uid] ?? 0n) + cutoff >= block)
}
