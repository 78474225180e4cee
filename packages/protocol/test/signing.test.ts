import { cryptoWaitReady, decodeAddress, sr25519Verify } from '@polkadot/util-crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { authenticationBytes, facilitatorLoginBytes } from '../src/handshake/signing.ts'
import { authenticationPayload } from '../src/v0/validator-miner.ts'
import { readFixture } from './golden.ts'

type Vector = { name: string; payload: unknown; signed_bytes_utf8: string; signature: string; verifies: boolean }
const vectors = JSON.parse(readFixture('v0/auth.json')) as {
  keys: Record<string, string>
  validator_to_miner: Vector[]
  validator_to_facilitator: { public_key: string; signature: string; verifies: boolean }[]
}

beforeAll(async () => {
  await cryptoWaitReady()
})

/** Returns false where the library throws: for text that is not an sr25519 signature. */
function verifies(bytes: Uint8Array, signature: string, key: Uint8Array): boolean {
  if (!/^0x[0-9a-f]{128}$/i.test(signature)) return false
  try {
    return sr25519Verify(bytes, signature, key)
  } catch {
    return false
  }
}

describe('authenticationBytes returns the signed bytes', () => {
  it.each(vectors.validator_to_miner)('$name', ({ payload, signed_bytes_utf8, signature, verifies: expected }) => {
    const read = authenticationPayload.parse(payload)
    const bytes = authenticationBytes(read)
    const key = decodeAddress(read.validator_hotkey)
    const wrapped = Buffer.concat([Buffer.from('<Bytes>'), bytes, Buffer.from('</Bytes>')])
    expect(verifies(bytes, signature, key) || verifies(wrapped, signature, key)).toBe(expected)
    if (expected) expect([Buffer.from(bytes).toString(), wrapped.toString()]).toContain(signed_bytes_utf8)
  })
})

it.each(vectors.validator_to_facilitator)(
  'facilitatorLoginBytes returns the signed bytes',
  ({ public_key, signature, verifies: expected }) => {
    const bytes = facilitatorLoginBytes(public_key)
    expect(bytes).toHaveLength(32)
    expect(verifies(bytes, signature, bytes)).toBe(expected)
  },
)
