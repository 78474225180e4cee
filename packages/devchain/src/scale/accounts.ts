import { type Hex, ScaleError } from './bytes.ts'
import { bytes, fixedBytes, named, struct, unit } from './composites.ts'
import { compactU32, compactU64, u8 } from './primitives.ts'
import type { Type } from './type.ts'
import { type Cases, empty, only, variants } from './variants.ts'

export const hash: Type<Hex> = named('primitive_types::H256', fixedBytes(32))
export const accountId: Type<Hex> = named('sp_core::crypto::AccountId32', fixedBytes(32))

const zeros = (bytes: number): Hex => `0x${'00'.repeat(bytes)}`
export const ZERO_HASH = zeros(32)
export const ZERO_ACCOUNT = zeros(32)

export const multiAddress = variants(
  'sp_runtime::multiaddress::MultiAddress',
  {
    Id: only(accountId),
    Index: only(compactUnit()),
    Raw: only(bytes),
    Address32: only(fixedBytes(32)),
    Address20: only(fixedBytes(20)),
  },
  [
    { name: 'AccountId', type: accountId },
    { name: 'AccountIndex', type: unit },
  ],
)

/** Compact<()>: the account index, which this runtime does not have. It takes no bytes. */
function compactUnit(): Type<null> {
  return { ...unit, shape: () => ({ kind: 'compact', of: unit }) }
}

export const multiSignature = variants('sp_runtime::MultiSignature', {
  Ed25519: only(fixedBytes(64)),
  Sr25519: only(fixedBytes(64)),
  Ecdsa: only(fixedBytes(65)),
})

export const dispatchClass = variants('frame_support::dispatch::DispatchClass', {
  Normal: empty,
  Operational: empty,
  Mandatory: empty,
})

export const pays = variants('frame_support::dispatch::Pays', { Yes: empty, No: empty })

export const weight = struct('sp_weights::weight_v2::Weight', { ref_time: compactU64, proof_size: compactU64 })

/** Immortal, or valid for `period` blocks (a power of two, 4 to 65536) that begin at `phase` modulo the period. */
export type EraValue = null | { period: number; phase: number }

const MIN_PERIOD = 4
const MAX_PERIOD = 65_536
/** The phase is stored in steps of this many 4096ths of the period. */
const PHASE_STEPS = 4096

/** One byte 0, or two bytes: log2(period) − 1 in the low 4 bits, the phase above. */
export const era: Type<EraValue> = {
  encode: (value, out) => {
    if (value === null) return out.byte(0)
    const factor = Math.max(value.period / PHASE_STEPS, 1)
    const power = Math.min(Math.max(Math.log2(value.period) - 1, 1), 15)
    out.integer(BigInt(power | (Math.trunc(value.phase / factor) << 4)), 2)
  },
  decode: input => {
    const first = input.byte()
    if (first === 0) return null
    const encoded = first | (input.byte() << 8)
    const period = 2 << (encoded & 15)
    const phase = (encoded >> 4) * Math.max(Math.trunc(period / PHASE_STEPS), 1)
    if (period < MIN_PERIOD || period > MAX_PERIOD || phase >= period)
      throw new ScaleError('an invalid period of an era')
    return { period, phase }
  },
  shape: () => ({ ...variants('sp_runtime::generic::era::Era', eraCases()).shape() }),
}

function eraCases(): Cases {
  const mortal = Array.from({ length: 255 }, (_, i) => [`Mortal${i + 1}`, only(u8, i + 1)] as const)
  return { Immortal: empty, ...Object.fromEntries(mortal) }
}

export const checkMetadataHashMode = variants('frame_metadata_hash_extension::Mode', {
  Disabled: empty,
  Enabled: empty,
})
export const compactNonce = compactU32
export const compactBalance = compactU64
