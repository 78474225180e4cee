import { randomBytes } from 'node:crypto'
import type { WeightsToReveal } from '../chain.ts'
import { TypeRegistry } from '../polkadot/api.ts'
import { blake2AsHex, decodeAddress } from '../polkadot/crypto.ts'

/** How many numbers the Python SDK takes for a salt; the chain does not count. */
const SALT_LENGTH = 8
const BYTES_OF_U16 = 2

/** Hotkey, subnet, uids, weights, salt, version key. */
const COMMITTED = '(AccountId32,u16,Vec<u16>,Vec<u16>,Vec<u16>,u64)'

const registry = new TypeRegistry()

/** Without a salt anybody could find the weights of a commit by trying. */
export function newSalt(): number[] {
  const bytes = randomBytes(SALT_LENGTH * BYTES_OF_U16)
  return Array.from({ length: SALT_LENGTH }, (_, i) => bytes.readUInt16LE(i * BYTES_OF_U16))
}

/** What is committed: BLAKE2b-256 of the weights just as they will be revealed, as 0x and 64 hex digits. */
export function commitHash({ netuid, uids, weights, salt, versionKey }: WeightsToReveal, hotkey: string): string {
  const said = [decodeAddress(hotkey), netuid, [...uids], [...weights], [...salt], versionKey]
  return blake2AsHex(registry.createType(COMMITTED, said).toU8a(), 256)
}
