/**
 * Signs and verifies with sr25519 in WebAssembly, as schnorrkel does. The functions of the same name in
 * @polkadot/util-crypto are JavaScript since its version 14. They take nine times as long, for large messages fourteen
 * times: 3.5 s for 40 MiB. They stand in until WebAssembly has loaded, which takes some milliseconds.
 */
import { sr25519Sign, sr25519Verify, wasmCrypto } from '../polkadot/crypto.ts'

export interface KeyBytes {
  publicKey: Uint8Array
  secretKey: Uint8Array
}

/** Returns the signature: 64 bytes. */
export function sign(bytes: Uint8Array, { publicKey, secretKey }: KeyBytes): Uint8Array {
  if (!wasmCrypto.isReady()) return sr25519Sign(bytes, { publicKey, secretKey })
  return wasmCrypto.sr25519Sign(publicKey, secretKey, bytes)
}

/** Returns whether a key made this signature. May throw for a signature or key that is none. */
export function verifies(bytes: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  if (!wasmCrypto.isReady()) return sr25519Verify(bytes, signature, publicKey)
  return wasmCrypto.sr25519Verify(signature, bytes, publicKey)
}
