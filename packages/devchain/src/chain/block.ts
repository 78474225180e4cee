import { blake2AsU8a } from '../crypto.ts'
import { hash } from '../scale/accounts.ts'
import { type Hex, toHex } from '../scale/bytes.ts'
import { bytes, struct, vec } from '../scale/composites.ts'
import { compactU32 } from '../scale/primitives.ts'
import { encode } from '../scale/type.ts'
import type { Changes } from '../state/state.ts'

export interface Header {
  parentHash: Hex
  number: number
  stateRoot: Hex
  extrinsicsRoot: Hex
}

export interface Block {
  hash: Hex
  header: Header
  /** The encoded extrinsics, the inherent first. */
  extrinsics: Uint8Array[]
}

const headerType = struct('', {
  parentHash: hash,
  number: compactU32,
  stateRoot: hash,
  extrinsicsRoot: hash,
  // No digest: there is no author and no seal.
  digest: vec(bytes),
})

export function sealBlock(header: Header, extrinsics: Uint8Array[]): Block {
  return { hash: toHex(blake2AsU8a(encode(headerType, { ...header, digest: [] }), 256)), header, extrinsics }
}

export function extrinsicsRoot(extrinsics: Uint8Array[]): Hex {
  return toHex(blake2AsU8a(encode(vec(bytes), extrinsics), 256))
}

/**
 * Hashes the changes together with the root before, which binds a block to its history. It is not the root of a trie,
 * so there are no proofs.
 */
export function nextStateRoot(parent: Hex, changes: Changes): Hex {
  const lines = [...changes]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value === null ? '-' : toHex(value)}`)
  return toHex(blake2AsU8a(`${parent}\n${lines.join('\n')}`, 256))
}
