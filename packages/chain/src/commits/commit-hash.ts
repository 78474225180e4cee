import { randomBytes } from 'node:crypto'
import type { WeightsToReveal } from '../chain.ts'
import { TypeRegistry } from '../polkadot/api.ts'
import { blake2AsHex, decodeAddress } from '../polkadot/crypto.ts'

/** The length of a salt, as in the Python SDK. The chain accepts any length. */
const SALT_LENGTH = 8
const BYTES_OF_U16 = 2

/** SCALE type of the hashed data: hotkey, subnet, uids, weights, salt, version key. */
const COMMITTED = '(AccountId32,u16,Vec<u16>,Vec<u16>,Vec<u16>,u64)'

const registry = new TypeRegistry()

/** Makes a random salt: u16 numbers. Without a salt the weights of a commit could be found by trying. */
export function newSalt(): number[] {
  const bytes = randomBytes(SALT_LENGTH * BYTES_OF_U16)
  return Array.from({ length: SALT_LENGTH }, (_, i) => bytes.readUInt16LE(i * BYTES_OF_U16))
}

/** Returns the hash to commit: BLAKE2b-256 of the weights exactly as they will be revealed, as 0x and 64 hex digits. */
export function commitHash({ netuid, uids, weights, salt, versionKey }: WeightsToReveal, hotkey: string): string {
  const values = [decodeAddress(hotkey), netuid, [...uids], [...weights], [...salt], versionKey]
  return blake2AsHex(registry.createType(COMMITTED, values).toU8a(), 256)
}
