import { blake2AsU8a, ed25519Verify, secp256k1Verify, sr25519Verify } from '../crypto.ts'
import { BLOCK_HASH_COUNT, systemStorage } from '../pallets/system.ts'
import { type EraValue, hash, type multiSignature } from '../scale/accounts.ts'
import { fromHex, type Hex } from '../scale/bytes.ts'
import { fixedBytes, option, tuple } from '../scale/composites.ts'
import { u32 } from '../scale/primitives.ts'
import { encode, type ValueOf } from '../scale/type.ts'
import type { View } from '../state/store.ts'
import { SPEC_VERSION, TRANSACTION_VERSION } from '../table/version.ts'
import type { SignedExtrinsic } from './extrinsic.ts'
import { InvalidTransaction } from './invalid.ts'

/** Longer payloads are signed by their hash. */
const PAYLOAD_BYTES = 256

/** Signed but not sent: spec and transaction version, genesis, the era's first block, no metadata hash. */
const implicit = tuple(u32, u32, hash, hash, option(fixedBytes(32)))

/** Returns the block at which an era began, seen from block `current`. */
export function birthOf({ period, phase }: NonNullable<EraValue>, current: number): number {
  return Math.floor((Math.max(current, phase) - phase) / period) * period + phase
}

/**
 * Returns the hash of the block against which an extrinsic in block `current` was signed.
 * @throws InvalidTransaction AncientBirthBlock when that block is unknown or too old
 */
export function eraHash(view: View, value: EraValue, current: number): Hex {
  const birth = value === null ? 0 : birthOf(value, current)
  const known = birth === 0 || current - birth <= BLOCK_HASH_COUNT
  if (!known || !view.has(systemStorage.BlockHash, birth)) throw new InvalidTransaction('AncientBirthBlock')
  return view.get(systemStorage.BlockHash, birth)
}

/** Returns whether the signer signed exactly this, for this chain, runtime and era. */
export function isProven(extrinsic: SignedExtrinsic, signer: Hex, genesis: Hex, birth: Hex): boolean {
  const additional = encode(implicit, [SPEC_VERSION, TRANSACTION_VERSION, genesis, birth, null])
  const payload = new Uint8Array([...extrinsic.callBytes, ...extrinsic.extraBytes, ...additional])
  const message = payload.length > PAYLOAD_BYTES ? blake2AsU8a(payload, 256) : payload
  try {
    return verify(message, extrinsic.signature, fromHex(signer))
  } catch {
    // The verifier throws for a signature or key that is not a point of its curve. That counts as invalid.
    return false
  }
}

function verify(message: Uint8Array, { type, value }: ValueOf<typeof multiSignature>, account: Uint8Array): boolean {
  const signature = fromHex(value)
  if (type === 'Sr25519') return sr25519Verify(message, signature, account)
  if (type === 'Ed25519') return ed25519Verify(message, signature, account)
  return secp256k1Verify(message, signature, account)
}
