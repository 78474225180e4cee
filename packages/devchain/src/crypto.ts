/** Signatures, hashes and addresses, loaded as CommonJS (docs/decisions/0014-polkadot-as-commonjs.md). */
import { createRequire } from 'node:module'

const load = createRequire(import.meta.url)

export const {
  blake2AsU8a,
  cryptoWaitReady,
  decodeAddress,
  ed25519Verify,
  secp256k1Verify,
  sr25519Verify,
  xxhashAsU8a,
} = load('@polkadot/util-crypto') as typeof import('@polkadot/util-crypto')
