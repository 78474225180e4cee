import { beforeAll, expect, test } from 'vitest'
import { cryptoWaitReady, sr25519PairFromSeed, sr25519Sign, sr25519Verify, wasmCrypto } from '../polkadot/crypto.ts'
import { sign, verifies } from './sr25519.ts'

const key = sr25519PairFromSeed(new Uint8Array(32).fill(7))
const other = sr25519PairFromSeed(new Uint8Array(32).fill(8))

beforeAll(async () => {
  await cryptoWaitReady()
})

test.each([0, 1, 32, 600, 1_000_000])('agrees with the implementation in JavaScript on %i bytes', length => {
  expect(wasmCrypto.isReady()).toBe(true)
  const bytes = new Uint8Array(length).fill(65)
  const signature = sign(bytes, key)
  expect(sr25519Verify(bytes, signature, key.publicKey)).toBe(true)
  expect(verifies(bytes, sr25519Sign(bytes, key), key.publicKey)).toBe(true)
})

test('refuses the signature of another key or text, and what is no signature', () => {
  const bytes = new TextEncoder().encode('text')
  const signature = sign(bytes, key)
  expect(verifies(bytes, signature, other.publicKey)).toBe(false)
  expect(verifies(new TextEncoder().encode('Text'), signature, key.publicKey)).toBe(false)
  expect(verifies(bytes, new Uint8Array(64), key.publicKey)).toBe(false)
  expect(verifies(bytes, new Uint8Array(64).fill(255), key.publicKey)).toBe(false)
})
