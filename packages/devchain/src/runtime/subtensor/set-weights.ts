import { subtensorStorage as storage } from '../../pallets/subtensor/storage.ts'
import { ZERO_ACCOUNT } from '../../scale/accounts.ts'
import type { Hex } from '../../scale/bytes.ts'
import type { View } from '../../state/store.ts'
import type { Context } from '../context.ts'
import { SUBTENSOR } from '../events.ts'
import { ensure } from '../failure.ts'
import { ensureMechanism, hasStakeForWeights, passesWeightsRateLimit, setColumn, uidOf } from './neurons.ts'
import { maxUpscale, withinMaxWeight } from './upscale.ts'

export interface Row {
  netuid: number
  mecid: number
  uids: number[]
  values: number[]
  versionKey: bigint
}

const ROOT = 0

/**
 * Replaces the signer's row of weights. The checks come in the chain's own order, each with its error; a reveal skips
 * the rate limit, which its commit has paid.
 */
export function setWeights(context: Context, hotkey: Hex, row: Row, options: { revealed: boolean }): void {
  const { store, block } = context
  const { netuid, uids, values } = row
  ensure(netuid !== ROOT, 'CanNotSetRootNetworkWeights')
  ensure(uids.length === values.length, 'WeightVecNotEqualSize')
  const index = ensureMechanism(store, netuid, row.mecid)
  const count = store.get(storage.SubnetworkN, netuid)
  ensure(uids.length <= count, 'UidsLengthExceedUidsInSubNet')
  const uid = uidOf(store, netuid, hotkey)
  ensure(uid !== undefined, 'HotKeyNotRegisteredInSubNet')
  ensure(hasStakeForWeights(store, netuid, hotkey), 'NotEnoughStakeToSetWeights')
  ensure(versionKeyFits(store, row), 'IncorrectWeightVersionKey')
  ensure(options.revealed || passesWeightsRateLimit(store, netuid, index, uid, block), 'SettingWeightsTooFast')
  ensure(mayWeigh(store, netuid, uid, uids), 'NeuronNoValidatorPermit')
  ensure(new Set(uids).size === uids.length, 'DuplicateUids')
  ensure(
    uids.every(one => one < count),
    'UidVecContainInvalidOne',
  )
  ensure(isLongEnough(store, netuid, uid, uids, count), 'WeightVecLengthIsLow')
  const upscaled = maxUpscale(values)
  const limit = store.get(storage.MaxWeightsLimit, netuid)
  ensure(isSelfWeight(uid, uids) || withinMaxWeight(upscaled, limit), 'MaxWeightExceeded')

  const weights = uids.map((one, position): [number, number] => [one, upscaled[position] as number])
  store.set(storage.Weights, [index, uid], weights)
  // With commit-reveal only the commit updates the neuron's last update.
  if (!store.get(storage.CommitRevealWeightsEnabled, netuid)) setColumn(store, storage.LastUpdate, index, uid, block)
  context.emit(SUBTENSOR, 'WeightsSet', [index, uid])
}

function versionKeyFits(view: View, row: Row): boolean {
  const wanted = view.get(storage.WeightsVersionKey, row.netuid)
  return wanted === 0n || row.versionKey >= wanted
}

function isSelfWeight(uid: number, uids: number[]): boolean {
  return uids.length === 1 && uids[0] === uid
}

/** Without a permit a neuron may set weights only on itself, or only on the subnet owner's neuron. */
function mayWeigh(view: View, netuid: number, uid: number, uids: number[]): boolean {
  if (view.get(storage.ValidatorPermit, netuid)[uid] === true) return true
  if (isSelfWeight(uid, uids)) return true
  const owner = view.get(storage.SubnetOwnerHotkey, netuid)
  return owner !== ZERO_ACCOUNT && uids.length === 1 && uids[0] === uidOf(view, netuid, owner)
}

function isLongEnough(view: View, netuid: number, uid: number, uids: number[], count: number): boolean {
  const least = Math.min(count, view.get(storage.MinAllowedWeights, netuid))
  return uids.length >= least || isSelfWeight(uid, uids)
}
