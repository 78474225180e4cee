import { blake2AsU8a } from '../crypto.ts'
import {
  checkMetadataHashMode,
  compactBalance,
  compactNonce,
  type EraValue,
  era,
  multiAddress,
  multiSignature,
} from '../scale/accounts.ts'
import { ByteReader, ByteWriter, type Hex, ScaleError, toHex } from '../scale/bytes.ts'
import { bytes } from '../scale/composites.ts'
import { readLength } from '../scale/primitives.ts'
import { decode, encode, type ValueOf } from '../scale/type.ts'
import { type RuntimeCall, runtimeCall } from '../table/runtime-call.ts'
import { EXTRINSIC_VERSION } from '../table/version.ts'

/** The fields that the signed extensions add to an extrinsic. */
export interface Extra {
  era: EraValue
  nonce: number
  tip: bigint
  metadataHash: boolean
}

export interface SignedExtrinsic {
  /** The encoded extrinsic with its length prefix. */
  bytes: Uint8Array
  /** BLAKE2b-256 of `bytes`. */
  hash: Hex
  signer: ValueOf<typeof multiAddress>
  signature: ValueOf<typeof multiSignature>
  extra: Extra
  /** Call and extra exactly as sent, which is what was signed. */
  callBytes: Uint8Array
  extraBytes: Uint8Array
  call: RuntimeCall
}

const SIGNED = 0b1000_0000

/** The bytes are not an extrinsic: the length prefix is missing or wrong. */
export class BadFormatError extends Error {
  override readonly name = 'BadFormatError'
}

/** The extrinsic is well-formed but unsigned. Only the block's author may add such extrinsics. */
export class UnsignedError extends Error {
  override readonly name = 'UnsignedError'
}

/** @throws BadFormatError, UnsignedError, or ScaleError for bytes that the runtime cannot decode */
export function decodeExtrinsic(sent: Uint8Array): SignedExtrinsic {
  const body = withoutLength(sent)
  const input = new ByteReader(body)
  const version = input.byte()
  if (version === EXTRINSIC_VERSION) throw new UnsignedError('an unsigned extrinsic')
  if (version !== (SIGNED | EXTRINSIC_VERSION)) throw new ScaleError('an unknown extrinsic version')
  const signer = multiAddress.decode(input)
  const signature = multiSignature.decode(input)
  const extraFrom = input.position
  const extra = {
    era: era.decode(input),
    nonce: compactNonce.decode(input),
    tip: compactBalance.decode(input),
    metadataHash: checkMetadataHashMode.decode(input).type === 'Enabled',
  }
  const callFrom = input.position
  const callBytes = body.slice(callFrom)
  return {
    bytes: sent,
    hash: toHex(blake2AsU8a(sent, 256)),
    signer,
    signature,
    extra,
    callBytes,
    extraBytes: body.slice(extraFrom, callFrom),
    call: decode(runtimeCall, callBytes),
  }
}

function withoutLength(sent: Uint8Array): Uint8Array {
  try {
    const input = new ByteReader(sent)
    const body = input.raw(readLength(input))
    if (input.left > 0) throw new ScaleError('bytes left over')
    return body
  } catch (error) {
    throw new BadFormatError('no opaque extrinsic', { cause: error })
  }
}

/** The inherent at the start of every block. */
export function timestampExtrinsic(now: bigint): Uint8Array {
  const out = new ByteWriter()
  out.byte(EXTRINSIC_VERSION)
  runtimeCall.encode({ type: 'Timestamp', value: { type: 'set', value: { now } } }, out)
  return encode(bytes, out.done())
}
