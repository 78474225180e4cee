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

/** The part of a signed extrinsic that the extensions brought. */
export interface Extra {
  era: EraValue
  nonce: number
  tip: bigint
  metadataHash: boolean
}

export interface SignedExtrinsic {
  /** As it travels: with its length in front. */
  bytes: Uint8Array
  /** BLAKE2b-256 of `bytes`. */
  hash: Hex
  signer: ValueOf<typeof multiAddress>
  signature: ValueOf<typeof multiSignature>
  extra: Extra
  /** As signed: call and extra just as they were sent. */
  callBytes: Uint8Array
  extraBytes: Uint8Array
  call: RuntimeCall
}

const SIGNED = 0b1000_0000

/** Not an extrinsic at all: no length in front, or a wrong one. */
export class BadFormatError extends Error {
  override readonly name = 'BadFormatError'
}

/** An extrinsic that is well-formed but unsigned: nobody but the block's author may add one. */
export class UnsignedError extends Error {
  override readonly name = 'UnsignedError'
}

/** @throws BadFormatError, UnsignedError, or ScaleError for what the runtime could not decode */
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

/** The inherent that every block begins with. */
export function timestampExtrinsic(now: bigint): Uint8Array {
  const out = new ByteWriter()
  out.byte(EXTRINSIC_VERSION)
  runtimeCall.encode({ type: 'Timestamp', value: { type: 'set', value: { now } } }, out)
  return encode(bytes, out.done())
}
