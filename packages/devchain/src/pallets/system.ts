import { blake2AsU8a } from '../crypto.ts'
import { accountId, hash, ZERO_HASH } from '../scale/accounts.ts'
import { toHex } from '../scale/bytes.ts'
import { bytes, struct, vec } from '../scale/composites.ts'
import { u16, u32, u64, u128 } from '../scale/primitives.ts'
import { empty, only, record, variants } from '../scale/variants.ts'
import { dispatchError, dispatchInfo } from '../table/dispatch-error.ts'
import { call, constant, type Pallet } from '../table/pallet.ts'
import { runtimeEvent } from '../table/runtime-call.ts'
import { blake2, map, place, twox, value } from '../table/storage-entry.ts'
import {
  RUNTIME_APIS,
  type RuntimeVersion,
  runtimeVersion,
  SPEC_VERSION,
  SS58_PREFIX,
  TRANSACTION_VERSION,
} from '../table/version.ts'

/** The number of block hashes that the chain keeps. No era may begin further back. */
export const BLOCK_HASH_COUNT = 4096

const accountData = struct('pallet_balances::types::AccountData', {
  free: u64,
  reserved: u64,
  frozen: u64,
  flags: u128,
})

const accountInfo = struct(
  'frame_system::AccountInfo',
  { nonce: u32, consumers: u32, providers: u32, sufficients: u32, data: accountData },
  [
    { name: 'Nonce', type: u32 },
    { name: 'AccountData', type: accountData },
  ],
)

/** The balance's top bit of `flags`: the new logic of holds and freezes, set on every account since 2023. */
export const NEW_LOGIC_FLAG = 1n << 127n

const NO_ACCOUNT = {
  nonce: 0,
  consumers: 0,
  providers: 0,
  sufficients: 0,
  data: { free: 0n, reserved: 0n, frozen: 0n, flags: NEW_LOGIC_FLAG },
}

const phase = variants('frame_system::Phase', { ApplyExtrinsic: only(u32), Finalization: empty, Initialization: empty })

const eventRecord = struct('frame_system::EventRecord', { phase, event: runtimeEvent, topics: vec(hash) }, [
  { name: 'E', type: runtimeEvent },
  { name: 'T', type: hash },
])

export const systemStorage = place('System', {
  Account: map([blake2(accountId)], accountInfo, NO_ACCOUNT),
  BlockHash: map([twox(u32)], hash, ZERO_HASH),
  Number: value(u32, 0),
  ParentHash: value(hash, ZERO_HASH),
  Events: value(vec(eventRecord), []),
  EventCount: value(u32, 0),
})

export const systemCalls = {
  remark: call(0, { remark: bytes }),
  remark_with_event: call(7, { remark: bytes }),
}

export const systemEvents = {
  ExtrinsicSuccess: record({ dispatch_info: dispatchInfo }),
  ExtrinsicFailed: record({ dispatch_error: dispatchError, dispatch_info: dispatchInfo }),
  CodeUpdated: empty,
  NewAccount: record({ account: accountId }),
  KilledAccount: record({ account: accountId }),
  Remarked: record({ sender: accountId, hash }),
}

export const VERSION: RuntimeVersion = {
  spec_name: 'node-subtensor',
  impl_name: 'node-subtensor',
  authoring_version: 1,
  spec_version: SPEC_VERSION,
  impl_version: 1,
  apis: RUNTIME_APIS.map(({ name, version }) => [toHex(blake2AsU8a(name, 64)), version]),
  transaction_version: TRANSACTION_VERSION,
  system_version: 1,
}

export const system: Pallet = {
  name: 'System',
  index: 0,
  storage: systemStorage,
  calls: systemCalls,
  events: systemEvents,
  errors: [
    'InvalidSpecName',
    'SpecVersionNeedsToIncrease',
    'FailedToExtractRuntimeVersion',
    'NonDefaultComposite',
    'NonZeroRefCount',
    'CallFiltered',
  ],
  constants: {
    BlockHashCount: constant(u32, BLOCK_HASH_COUNT),
    Version: constant(runtimeVersion, VERSION),
    SS58Prefix: constant(u16, SS58_PREFIX),
  },
}
