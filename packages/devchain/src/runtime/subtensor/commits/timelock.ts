import { blake2AsU8a } from '../../../crypto.ts'
import { drandStorage } from '../../../pallets/drand.ts'
import { subtensorStorage as storage } from '../../../pallets/subtensor/storage.ts'
import { type Hex, toHex } from '../../../scale/bytes.ts'
import { bytes, tuple, vec } from '../../../scale/composites.ts'
import { u16, u64 } from '../../../scale/primitives.ts'
import { decode, type ValueOf } from '../../../scale/type.ts'
import type { View } from '../../../state/store.ts'
import type { Context } from '../../context.ts'
import { SUBTENSOR } from '../../events.ts'
import { ensure } from '../../failure.ts'
import { ensureMechanism, setColumn } from '../neurons.ts'
import { setWeights } from '../set-weights.ts'
import { ensureMayCommit, MAX_OPEN_COMMITS } from './commit-reveal.ts'
import { openSeal } from './open-seal.ts'

type Sealed = ValueOf<(typeof storage)['TimelockedWeightCommits']['type']>[number]

const MAIN = 0

export interface SealedCommit {
  netuid: number
  commit: Uint8Array
  round: bigint
  version: number
}

/** Hotkey, uids, weights, version key. */
const payload = tuple(bytes, vec(u16), vec(u16), u64)

/** A commit must not be sealed for a round that the chain already knows. */
export function checkRound(view: View, round: bigint): void {
  ensure(round >= view.get(drandStorage.LastStoredRound), 'InvalidRevealRound')
}

/** Stores a ciphertext that a later round of the beacon opens. */
export function commitTimelocked(
  context: Context,
  hotkey: Hex,
  { netuid, commit, round, version }: SealedCommit,
): void {
  const { store, block } = context
  ensure(version === store.get(storage.CommitRevealWeightsVersion), 'IncorrectCommitRevealVersion')
  const index = ensureMechanism(store, netuid, MAIN)
  const uid = ensureMayCommit(context, hotkey, netuid, index)
  checkRound(store, round)
  const epoch = store.get(storage.SubnetEpochIndex, netuid)
  const all = store.get(storage.TimelockedWeightCommits, index, epoch)
  ensure(all.filter(([who]) => who === hotkey).length < MAX_OPEN_COMMITS, 'TooManyUnrevealedCommits')
  store.set(storage.TimelockedWeightCommits, [index, epoch], [...all, [hotkey, block, commit, round] as Sealed])
  setColumn(store, storage.LastUpdate, index, uid, block)
  context.emit(SUBTENSOR, 'TimelockedWeightsCommitted', [hotkey, index, toHex(blake2AsU8a(commit, 256)), round])
}

/** Opens the commits of this epoch whose round is known, and drops those of the epoch before. */
export function openTimelocked(context: Context): void {
  const { store } = context
  for (const { keys, value } of store.entries(storage.NetworksAdded)) {
    const [netuid] = keys
    const due = store.get(storage.SubnetEpochIndex, netuid) - store.get(storage.RevealPeriodEpochs, netuid)
    if (!value || due < 0n) continue
    if (due > 0n) store.remove(storage.TimelockedWeightCommits, [netuid, due - 1n])
    const commits = store.get(storage.TimelockedWeightCommits, netuid, due)
    if (commits.length === 0 || !store.get(storage.CommitRevealWeightsEnabled, netuid)) continue
    const left = commits.filter(commit => !openOne(context, netuid, commit))
    if (left.length > 0) store.set(storage.TimelockedWeightCommits, [netuid, due], left)
    else store.remove(storage.TimelockedWeightCommits, [netuid, due])
  }
}

/** Returns false while the round is unknown. Drops a commit silently that cannot be opened or is refused. */
function openOne(context: Context, netuid: number, [hotkey, , ciphertext, round]: Sealed): boolean {
  const pulse = context.store.get(drandStorage.Pulses, round)
  if (!pulse) return false
  const opened = openSeal(ciphertext, pulse.signature)
  if (!opened) return true
  context.attempt(() => {
    const [who, uids, values, versionKey] = decode(payload, opened)
    ensure(toHex(who) === hotkey, 'InvalidRevealCommitHashNotMatch')
    setWeights(context, hotkey, { netuid, mecid: MAIN, uids, values, versionKey }, { revealed: true })
    context.emit(SUBTENSOR, 'TimelockedWeightsRevealed', [netuid, hotkey])
  })
  return true
}
