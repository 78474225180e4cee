/** Keys, signatures and hashes, loaded as CommonJS (docs/decisions/0014-polkadot-as-commonjs.md). */
import { createRequire } from 'node:module'

const load = createRequire(import.meta.url)

export const { Keyring } = load('@polkadot/keyring') as typeof import('@polkadot/keyring')
export const { hexToU8a, u8aToHex, u8aWrapBytes } = load('@polkadot/util') as typeof import('@polkadot/util')
export const {
  blake2AsHex,
  cryptoWaitReady,
  decodeAddress,
  encodeAddress,
  keyExtractSuri,
  keyFromPath,
  mnemonicToMiniSecret,
  mnemonicValidate,
  sr25519PairFromSeed,
  sr25519Sign,
  sr25519Verify,
} = load('@polkadot/util-crypto') as typeof import('@polkadot/util-crypto')

/** Its functions work once `isReady()`: @polkadot/util-crypto begins to load WebAssembly when it is loaded. */
export const wasmCrypto = load('@polkadot/wasm-crypto') as typeof import('@polkadot/wasm-crypto')
