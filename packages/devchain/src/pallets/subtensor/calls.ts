import { accountId, hash } from '../../scale/accounts.ts'
import { bytes, tuple, vec } from '../../scale/composites.ts'
import { compactU16, compactU64, u8, u16, u32, u64, u128 } from '../../scale/primitives.ts'
import { call } from '../../table/pallet.ts'

const FREE = { free: true }

const endpoint = { netuid: u16, version: u32, ip: u128, port: u16, ip_type: u8 }
const axon = { ...endpoint, protocol: u8, placeholder1: u8, placeholder2: u8 }
const row = { dests: vec(u16), weights: vec(u16), version_key: u64 }
const reveal = { uids: vec(u16), values: vec(u16), salt: vec(u16), version_key: u64 }

/** Indices and arguments of the later era. Weights and serving are Pays::No. */
export const subtensorCalls = {
  set_weights: call(0, { netuid: u16, ...row }, FREE),
  add_stake: call(2, { hotkey: accountId, netuid: u16, amount_staked: u64 }),
  remove_stake: call(3, { hotkey: accountId, netuid: u16, amount_unstaked: u64 }),
  serve_axon: call(4, axon, FREE),
  serve_prometheus: call(5, endpoint, FREE),
  register: call(6, {
    netuid: u16,
    block_number: u64,
    nonce: u64,
    work: bytes,
    hotkey: accountId,
    coldkey: accountId,
  }),
  burned_register: call(7, { netuid: u16, hotkey: accountId }),
  serve_axon_tls: call(40, { ...axon, certificate: bytes }, FREE),
  register_network: call(59, { hotkey: accountId }),
  batch_set_weights: call(
    80,
    { netuids: vec(compactU16), weights: vec(vec(tuple(compactU16, compactU16))), version_keys: vec(compactU64) },
    FREE,
  ),
  start_call: call(92, { netuid: u16 }),
  commit_weights: call(96, { netuid: u16, commit_hash: hash }, FREE),
  reveal_weights: call(97, { netuid: u16, ...reveal }, FREE),
  batch_reveal_weights: call(
    98,
    {
      netuid: u16,
      uids_list: vec(vec(u16)),
      values_list: vec(vec(u16)),
      salts_list: vec(vec(u16)),
      version_keys: vec(u64),
    },
    FREE,
  ),
  batch_commit_weights: call(100, { netuids: vec(compactU16), commit_hashes: vec(hash) }, FREE),
  commit_timelocked_weights: call(
    113,
    { netuid: u16, commit: bytes, reveal_round: u64, commit_reveal_version: u16 },
    FREE,
  ),
  commit_mechanism_weights: call(115, { netuid: u16, mecid: u8, commit_hash: hash }, FREE),
  reveal_mechanism_weights: call(116, { netuid: u16, mecid: u8, ...reveal }, FREE),
  set_mechanism_weights: call(119, { netuid: u16, mecid: u8, ...row }, FREE),
  register_limit: call(134, { netuid: u16, hotkey: accountId, limit_price: u64 }),
}
