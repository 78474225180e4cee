import { accountId } from '../scale/accounts.ts'
import { fixedBytes, named, struct, vec } from '../scale/composites.ts'
import { u16, u32, u64 } from '../scale/primitives.ts'
import { empty, only, record, variants } from '../scale/variants.ts'
import { call, constant, type Pallet } from '../table/pallet.ts'
import { identity, optionalMap, place, twox, value } from '../table/storage-entry.ts'

/** The most fields of one commitment, and the bytes of the longest raw one. */
export const MAX_FIELDS = 3
const MAX_RAW_BYTES = 128
const HASH_BYTES = 32

/** A raw text has a case of its own for each length. */
const raw = Object.fromEntries(
  Array.from({ length: MAX_RAW_BYTES + 1 }, (_, length) => [`Raw${length}`, only(fixedBytes(length), length + 1)]),
)
const hashes = Object.fromEntries(
  ['BlakeTwo256', 'Sha256', 'Keccak256', 'ShaThree256'].map((name, at) => [
    name,
    only(fixedBytes(HASH_BYTES), MAX_RAW_BYTES + 2 + at),
  ]),
)

/** Timelocked and larger data of the real chain are not there. */
const data = variants('pallet_commitments::types::Data', { None: empty, ...raw, ...hashes })

const fields = named('bounded_collections::bounded_vec::BoundedVec', vec(data))
const commitmentInfo = struct('pallet_commitments::types::CommitmentInfo', { fields })
const registration = struct('pallet_commitments::types::Registration', {
  deposit: u64,
  block: u32,
  info: commitmentInfo,
})
const usage = struct('pallet_commitments::types::UsageTracker', { last_epoch: u64, used_space: u64 })

export const commitmentsStorage = place('Commitments', {
  CommitmentOf: optionalMap([identity(u16), twox(accountId)], registration),
  LastCommitment: optionalMap([identity(u16), twox(accountId)], u32),
  UsedSpaceOf: optionalMap([identity(u16), twox(accountId)], usage),
  /** How many bytes a hotkey may commit on a subnet within one epoch. */
  MaxSpace: value(u32, 3_100),
})

export const commitmentsCalls = {
  set_commitment: call(0, { netuid: u16, info: commitmentInfo }, { free: true }),
}

export const commitmentsEvents = { Commitment: record({ netuid: u16, who: accountId }) }

export const commitmentsErrors = [
  'TooManyFieldsInCommitmentInfo',
  'AccountNotAllowedCommit',
  'SpaceLimitExceeded',
  'UnexpectedUnreserveLeftover',
] as const

/** Short public texts of the hotkeys of a subnet. */
export const commitments: Pallet = {
  name: 'Commitments',
  index: 18,
  storage: commitmentsStorage,
  calls: commitmentsCalls,
  events: commitmentsEvents,
  errors: commitmentsErrors,
  constants: {
    MaxFields: constant(u32, MAX_FIELDS),
    InitialDeposit: constant(u64, 0n),
    FieldDeposit: constant(u64, 0n),
  },
}
