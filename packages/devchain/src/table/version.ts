import { fixedBytes, struct, tuple, vec } from '../scale/composites.ts'
import { text, u8, u32 } from '../scale/primitives.ts'
import type { ValueOf } from '../scale/type.ts'

export const runtimeVersion = struct('sp_version::RuntimeVersion', {
  spec_name: text,
  impl_name: text,
  authoring_version: u32,
  spec_version: u32,
  impl_version: u32,
  apis: vec(tuple(fixedBytes(8), u32)),
  transaction_version: u32,
  system_version: u8,
})

/** Runtime APIs are listed by the first 8 bytes of blake2b-64 of their name. */
export const RUNTIME_APIS: { name: string; version: number }[] = [
  { name: 'Core', version: 5 },
  { name: 'Metadata', version: 2 },
  { name: 'AccountNonceApi', version: 1 },
  { name: 'TransactionPaymentApi', version: 4 },
]

/** The later era's runtime (the specification's HEAD column). */
export const SPEC_VERSION = 425
export const TRANSACTION_VERSION = 1
export const SS58_PREFIX = 42
export const EXTRINSIC_VERSION = 4

export type RuntimeVersion = ValueOf<typeof runtimeVersion>
