import type { subtensorCalls } from '../../pallets/subtensor/calls.ts'
import { subtensorStorage as storage } from '../../pallets/subtensor/storage.ts'
import { type Context, signerOf } from '../context.ts'
import { SUBTENSOR } from '../events.ts'
import { ensure } from '../failure.ts'
import type { Handlers } from '../handlers.ts'
import { commitWeights, revealWeights } from './commits/commit-reveal.ts'
import { commitTimelocked } from './commits/timelock.ts'
import { registerNetwork, startCall } from './networks.ts'
import { burnedRegister } from './register.ts'
import { serveAxon, serveCertificate, servePrometheus } from './serve.ts'
import { setWeights } from './set-weights.ts'
import { addStake, removeStake } from './stake.ts'

const MAIN = 0

/** A subnet that does not exist has the default, on, and must still fail with its own error. */
function ensurePlainWeights({ store }: Context, netuid: number): void {
  const exists = store.get(storage.NetworksAdded, netuid)
  ensure(!exists || !store.get(storage.CommitRevealWeightsEnabled, netuid), 'CommitRevealEnabled')
}

type Hotkey = ReturnType<typeof signerOf>

/** Items are independent: an event reports a refused one, and the others still run. */
function eachItem(
  context: Context,
  hotkey: Hotkey,
  netuids: number[],
  run: (netuid: number, at: number) => void,
): void {
  let failed = false
  for (const [at, netuid] of netuids.entries()) {
    const error = context.attempt(() => run(netuid, at))
    if (error) context.emit(SUBTENSOR, 'BatchWeightItemFailed', [netuid, error])
    failed ||= error !== null
  }
  if (failed) context.emit(SUBTENSOR, 'BatchCompletedWithErrors', null)
  context.emit(SUBTENSOR, 'BatchWeightsCompleted', [netuids, hotkey])
}

export const subtensorHandlers: Handlers<typeof subtensorCalls> = {
  set_weights: (context, origin, { netuid, dests, weights, version_key }) => {
    const row = { netuid, mecid: MAIN, uids: dests, values: weights, versionKey: version_key }
    ensurePlainWeights(context, netuid)
    setWeights(context, signerOf(origin), row, { revealed: false })
  },

  set_mechanism_weights: (context, origin, { netuid, mecid, dests, weights, version_key }) => {
    const row = { netuid, mecid, uids: dests, values: weights, versionKey: version_key }
    ensurePlainWeights(context, netuid)
    setWeights(context, signerOf(origin), row, { revealed: false })
  },

  batch_set_weights: (context, origin, { netuids, weights, version_keys }) => {
    const hotkey = signerOf(origin)
    ensure(netuids.length === weights.length && netuids.length === version_keys.length, 'InputLengthsUnequal')
    eachItem(context, hotkey, netuids, (netuid, at) => {
      const pairs = weights[at] ?? []
      const [uids, values] = [pairs.map(([uid]) => uid), pairs.map(([, value]) => value)]
      ensurePlainWeights(context, netuid)
      const row = { netuid, mecid: MAIN, uids, values, versionKey: version_keys[at] as bigint }
      setWeights(context, hotkey, row, { revealed: false })
    })
  },

  commit_weights: (context, origin, { netuid, commit_hash }) =>
    commitWeights(context, signerOf(origin), netuid, MAIN, commit_hash),

  commit_timelocked_weights: (context, origin, { netuid, commit, reveal_round, commit_reveal_version }) => {
    const sealed = { netuid, commit, round: reveal_round, version: commit_reveal_version }
    commitTimelocked(context, signerOf(origin), sealed)
  },

  commit_mechanism_weights: (context, origin, { netuid, mecid, commit_hash }) =>
    commitWeights(context, signerOf(origin), netuid, mecid, commit_hash),

  batch_commit_weights: (context, origin, { netuids, commit_hashes }) => {
    const hotkey = signerOf(origin)
    ensure(netuids.length === commit_hashes.length, 'InputLengthsUnequal')
    eachItem(context, hotkey, netuids, (netuid, at) => {
      commitWeights(context, hotkey, netuid, MAIN, commit_hashes[at] as Hotkey)
    })
  },

  reveal_weights: (context, origin, { netuid, uids, values, salt, version_key }) => {
    revealWeights(context, signerOf(origin), { netuid, mecid: MAIN, uids, values, salt, versionKey: version_key })
  },

  reveal_mechanism_weights: (context, origin, { netuid, mecid, uids, values, salt, version_key }) => {
    revealWeights(context, signerOf(origin), { netuid, mecid, uids, values, salt, versionKey: version_key })
  },

  batch_reveal_weights: (context, origin, { netuid, uids_list, values_list, salts_list, version_keys }) => {
    const hotkey = signerOf(origin)
    const lengths = [values_list.length, salts_list.length, version_keys.length]
    ensure(
      lengths.every(length => length === uids_list.length),
      'InputLengthsUnequal',
    )
    const hashes = uids_list.map((uids, at) =>
      revealWeights(context, hotkey, {
        netuid,
        mecid: MAIN,
        uids,
        values: values_list[at] as number[],
        salt: salts_list[at] as number[],
        versionKey: version_keys[at] as bigint,
      }),
    )
    context.emit(SUBTENSOR, 'WeightsBatchRevealed', [hotkey, netuid, hashes])
  },

  serve_axon: (context, origin, axon) => serveAxon(context, signerOf(origin), axon),

  serve_axon_tls: (context, origin, { certificate, ...axon }) => {
    serveAxon(context, signerOf(origin), axon)
    serveCertificate(context, signerOf(origin), axon.netuid, certificate)
  },

  serve_prometheus: (context, origin, endpoint) => servePrometheus(context, signerOf(origin), endpoint),

  // The proof of work is no longer checked; registering burns TAO.
  register: (context, origin, { netuid, hotkey }) =>
    burnedRegister(context, { netuid, hotkey, coldkey: signerOf(origin) }),

  burned_register: (context, origin, { netuid, hotkey }) =>
    burnedRegister(context, { netuid, hotkey, coldkey: signerOf(origin) }),

  register_limit: (context, origin, { netuid, hotkey, limit_price }) =>
    burnedRegister(context, { netuid, hotkey, coldkey: signerOf(origin), limitPrice: limit_price }),

  register_network: (context, origin, { hotkey }) => registerNetwork(context, signerOf(origin), hotkey),

  start_call: (context, origin, { netuid }) => startCall(context, signerOf(origin), netuid),

  add_stake: (context, origin, { hotkey, netuid, amount_staked }) =>
    addStake(context, signerOf(origin), { netuid, hotkey, amount: amount_staked }),

  remove_stake: (context, origin, { hotkey, netuid, amount_unstaked }) =>
    removeStake(context, signerOf(origin), { netuid, hotkey, amount: amount_unstaked }),
}
