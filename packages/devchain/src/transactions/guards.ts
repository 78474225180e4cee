import type { subtensorCalls } from '../pallets/subtensor/calls.ts'
import { subtensorStorage as storage } from '../pallets/subtensor/storage.ts'
import { sudoStorage } from '../pallets/sudo.ts'
import { DispatchFailure, ensure, palletErrorName } from '../runtime/failure.ts'
import { checkReveal } from '../runtime/subtensor/commits/commit-reveal.ts'
import { checkRound } from '../runtime/subtensor/commits/timelock.ts'
import { passesNetworkRateLimit } from '../runtime/subtensor/networks.ts'
import { hasStakeForWeights, passesWeightsRateLimit, storageIndex, uidOf } from '../runtime/subtensor/neurons.ts'
import { checkEndpoint } from '../runtime/subtensor/serve.ts'
import type { Hex } from '../scale/bytes.ts'
import type { View } from '../state/store.ts'
import type { ArgsOf } from '../table/pallet.ts'
import type { RuntimeCall } from '../table/runtime-call.ts'
import { customCode, InvalidTransaction } from './invalid.ts'

type SubtensorCalls = typeof subtensorCalls
type Guard<N extends keyof SubtensorCalls> = (
  view: View,
  who: Hex,
  args: ArgsOf<SubtensorCalls[N]>,
  block: bigint,
) => void

const MAIN = 0

/** Only the stored sudo key may call the Sudo pallet. @throws InvalidTransaction BadSigner */
export function guardSudo(view: View, who: Hex, call: RuntimeCall): void {
  if (call.type === 'Sudo' && view.get(sudoStorage.Key) !== who) throw new InvalidTransaction('BadSigner')
}

/**
 * Makes the checks of Subtensor's extension before a transaction enters the pool or a block. Calls inside a batch are
 * not checked here; the pallet checks them, with errors in the block.
 * @throws InvalidTransaction with the custom code of the first failing check
 */
export function guard(view: View, who: Hex, call: RuntimeCall, block: bigint): void {
  if (call.type !== 'SubtensorModule') return
  const check = GUARDS[call.value.type as keyof SubtensorCalls] as Guard<keyof SubtensorCalls> | undefined
  try {
    check?.(view, who, call.value.value as never, block)
  } catch (error) {
    if (!(error instanceof DispatchFailure)) throw error
    throw new InvalidTransaction({ custom: customCode(palletErrorName(error)) })
  }
}

function stake(view: View, who: Hex, netuid: number): void {
  ensure(hasStakeForWeights(view, netuid, who), 'NotEnoughStakeToSetWeights')
}

type RateError = 'SettingWeightsTooFast' | 'CommittingWeightsTooFast'

/** An unregistered hotkey passes; the pallet refuses it in the block. */
function rate(view: View, who: Hex, netuid: number, mecid: number, block: bigint, error: RateError): void {
  const uid = uidOf(view, netuid, who)
  const index = storageIndex(netuid, mecid)
  ensure(uid === undefined || passesWeightsRateLimit(view, netuid, index, uid, block), error)
}

/** With commit-reveal on, the pallet refuses the call in the block. */
function settingRate(view: View, who: Hex, netuid: number, mecid: number, block: bigint): void {
  if (view.get(storage.CommitRevealWeightsEnabled, netuid)) return
  rate(view, who, netuid, mecid, block, 'SettingWeightsTooFast')
}

type RevealArgs = ArgsOf<SubtensorCalls['reveal_weights']>

function reveal(view: View, who: Hex, mecid: number, { netuid, uids, values, salt, version_key }: RevealArgs): void {
  stake(view, who, netuid)
  checkReveal(view, who, storageIndex(netuid, mecid), { netuid, mecid, uids, values, salt, versionKey: version_key })
}

const GUARDS: { [N in keyof SubtensorCalls]?: Guard<N> } = {
  set_weights: (view, who, { netuid }, block) => {
    stake(view, who, netuid)
    settingRate(view, who, netuid, MAIN, block)
  },
  set_mechanism_weights: (view, who, { netuid, mecid }, block) => {
    stake(view, who, netuid)
    settingRate(view, who, netuid, mecid, block)
  },
  batch_set_weights: (view, who, { netuids, weights, version_keys }) => {
    ensure(netuids.length === weights.length && netuids.length === version_keys.length, 'InputLengthsUnequal')
    for (const netuid of netuids) stake(view, who, netuid)
  },
  commit_weights: (view, who, { netuid }, block) => {
    stake(view, who, netuid)
    rate(view, who, netuid, MAIN, block, 'CommittingWeightsTooFast')
  },
  commit_timelocked_weights: (view, who, { netuid, reveal_round }, block) => {
    stake(view, who, netuid)
    checkRound(view, reveal_round)
    rate(view, who, netuid, MAIN, block, 'CommittingWeightsTooFast')
  },
  commit_mechanism_weights: (view, who, { netuid, mecid }, block) => {
    stake(view, who, netuid)
    rate(view, who, netuid, mecid, block, 'CommittingWeightsTooFast')
  },
  batch_commit_weights: (view, who, { netuids, commit_hashes }) => {
    ensure(netuids.length === commit_hashes.length, 'InputLengthsUnequal')
    for (const netuid of netuids) stake(view, who, netuid)
  },
  reveal_weights: (view, who, args) => reveal(view, who, MAIN, args),
  reveal_mechanism_weights: (view, who, args) => reveal(view, who, args.mecid, args),
  batch_reveal_weights: (view, who, { netuid, uids_list, values_list, salts_list, version_keys }) => {
    const lengths = [values_list.length, salts_list.length, version_keys.length]
    ensure(
      lengths.every(length => length === uids_list.length),
      'InputLengthsUnequal',
    )
    for (const [at, uids] of uids_list.entries()) {
      const [values, salt] = [values_list[at] as number[], salts_list[at] as number[]]
      reveal(view, who, MAIN, { netuid, uids, values, salt, version_key: version_keys[at] as bigint })
    }
    stake(view, who, netuid)
  },
  serve_axon: (view, who, axon, block) => checkEndpoint(view, who, axon, 'axon', block),
  serve_axon_tls: (view, who, axon, block) => checkEndpoint(view, who, axon, 'axon', block),
  serve_prometheus: (view, who, endpoint, block) => checkEndpoint(view, who, endpoint, 'prometheus', block),
  register_network: (view, _who, _args, block) => {
    ensure(passesNetworkRateLimit(view, block), 'NetworkTxRateLimitExceeded')
  },
}
