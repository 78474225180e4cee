import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { initSync, tld } from '@ideallabs/timelock_wasm_wrapper'

const WASM = '@ideallabs/timelock_wasm_wrapper/timelock_wasm_wrapper_bg.wasm'

let isReady = false

/** Decrypts a ciphertext with the beacon's signature of its round; undefined when that fails. */
export function openSeal(ciphertext: Uint8Array, signature: Uint8Array): Uint8Array | undefined {
  // Loaded on use: a megabyte of code that only sealed commits need.
  if (!isReady) initSync({ module: readFileSync(fileURLToPath(import.meta.resolve(WASM))) })
  isReady = true
  try {
    return Uint8Array.from(tld(ciphertext, signature, 'bls12_381') as number[])
  } catch {
    return undefined
  }
}
