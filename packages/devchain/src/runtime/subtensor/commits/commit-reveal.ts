import { blake2AsU8a } from '../../../crypto.ts'
import { subtensorStorage as storage } from '../../../pallets/subtensor/storage.ts'
import { accountId } from '../../../scale/accounts.ts'
import { type Hex, toHex } from '../../../scale/bytes.ts'
import { tuple, vec } from '../../../scale/composites.ts'
import { u16, u64 } from '../../../scale/primitives.ts'
import { encode, type ValueOf } from '../../../scale/type.ts'
import type { View } from '../../../state/store.ts'
import type { Context } from '../../context.ts'
import { SUBTENSOR } from '../../events.ts'
import { ensure, moduleError } from '../../failure.ts'
import { ensureMechanism, passesWeightsRateLimit, setColumn, uidOf } from '../neurons.ts'
import { type Row, setWeights } from '../set-weights.ts'

export type Revealed = Row & { salt: number[] }
type Commit = ValueOf<(typeof storage)['WeightCommits']['type']>[number]

/** The most open commits of a hotkey. */
export const MAX_OPEN_COMMITS = 10

const committed = tuple(accountId, u16, vec(u16), vec(u16), vec(u16), u64)

/** Returns the hash of a commit: BLAKE2b-256 over the row as it will be revealed. */
export function commitHash(hotkey: Hex, index: number, row: Omit<Revealed, 'netuid' | 'mecid'>): Hex {
  const payload = encode(committed, [hotkey, index, row.uids, row.values, row.salt, row.versionKey])
  return toHex(blake2AsU8a(payload, 256))
}

export function commitWeights(context: Context, hotkey: Hex, netuid: number, mecid: number, hash: Hex): void {
  const { store, block } = context
  const index = ensureMechanism(store, netuid, mecid)
  const uid = ensureMayCommit(context, hotkey, netuid, index)
  const open = (store.get(storage.WeightCommits, index, hotkey) ?? []).filter(one => !isExpired(store, netuid, one))
  ensure(open.length < MAX_OPEN_COMMITS, 'TooManyUnrevealedCommits')
  const commit: Commit = [hash, store.get(storage.SubnetEpochIndex, netuid), block, 0n]
  store.set(storage.WeightCommits, [index, hotkey], [...open, commit])
  setColumn(store, storage.LastUpdate, index, uid, block)
  context.emit(SUBTENSOR, 'WeightsCommitted', [hotkey, index, hash])
}

/** Makes the checks of every commit, by hash or sealed. Returns the uid of the hotkey. */
export function ensureMayCommit({ store, block }: Context, hotkey: Hex, netuid: number, index: number): number {
  ensure(store.get(storage.CommitRevealWeightsEnabled, netuid), 'CommitRevealDisabled')
  const uid = uidOf(store, netuid, hotkey)
  ensure(uid !== undefined, 'HotKeyNotRegisteredInSubNet')
  ensure(passesWeightsRateLimit(store, netuid, index, uid, block), 'CommittingWeightsTooFast')
  return uid
}

/** Sets the weights of an earlier commit, only in its reveal epoch. Drops older commits. */
export function revealWeights(context: Context, hotkey: Hex, row: Revealed): Hex {
  const { store } = context
  const { netuid } = row
  const index = ensureMechanism(store, netuid, row.mecid)
  ensure(store.get(storage.CommitRevealWeightsEnabled, netuid), 'CommitRevealDisabled')
  const all = store.get(storage.WeightCommits, index, hotkey)
  ensure(all !== undefined, 'NoWeightsCommitFound')
  const hash = commitHash(hotkey, index, row)
  const open = all.filter(one => !isExpired(store, netuid, one))
  const position = open.findIndex(([one]) => one === hash)
  const found = open[position]
  if (!found) throw notFound(all, open, hash)
  ensure(isRevealable(store, netuid, found), 'RevealTooEarly')
  const rest = open.slice(position + 1)
  if (rest.length > 0) store.set(storage.WeightCommits, [index, hotkey], rest)
  else store.remove(storage.WeightCommits, [index, hotkey])
  setWeights(context, hotkey, row, { revealed: true })
  context.emit(SUBTENSOR, 'WeightsRevealed', [hotkey, index, hash])
  return hash
}

function notFound(all: Commit[], open: Commit[], hash: Hex) {
  if (all.some(([one]) => one === hash)) return moduleError('SubtensorModule', 'ExpiredWeightCommit')
  const name = open.length === 0 ? 'NoWeightsCommitFound' : 'InvalidRevealCommitHashNotMatch'
  return moduleError('SubtensorModule', name)
}

function dueEpoch(view: View, netuid: number, [, epoch]: Commit): bigint {
  return epoch + view.get(storage.RevealPeriodEpochs, netuid)
}

function isExpired(view: View, netuid: number, commit: Commit): boolean {
  return view.get(storage.SubnetEpochIndex, netuid) > dueEpoch(view, netuid, commit)
}

function isRevealable(view: View, netuid: number, commit: Commit): boolean {
  return view.get(storage.SubnetEpochIndex, netuid) === dueEpoch(view, netuid, commit)
}

/** Makes the pool's checks of a reveal: a known commit in its reveal epoch. */
export function checkReveal(view: View, hotkey: Hex, index: number, row: Revealed): void {
  const commits = view.get(storage.WeightCommits, index, hotkey) ?? []
  const hash = commitHash(hotkey, index, row)
  const found = commits.find(([one]) => one === hash)
  ensure(found !== undefined, 'NoWeightsCommitFound')
  ensure(isRevealable(view, row.netuid, found), 'RevealTooEarly')
}
